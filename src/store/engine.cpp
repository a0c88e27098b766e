#include "store/engine.hpp"

#include "bridge/clock.hpp"
#include "store/users.hpp"

namespace claude_gpt::store {

using namespace bridge;

std::array<DirectUse, 3> direct_uses(core::Instant now) {
  return {{{Users::k_name, "read", users().obstacle(HeapTable::Use::read, now)},
           {Users::k_name, "written", users().obstacle(HeapTable::Use::write, now)},
           {UsageRecords::k_name, "written", usage_records().obstacle(HeapTable::Use::write, now)}}};
}

UserLookup::UserLookup(const core::Uuid& id) : heap_(users()) {
  if (heap_.open(HeapTable::Use::read))
    is_found_ = heap_.find(id, row_.values().first(Users::k_read)) == HeapRow::Found::row;
  else
    find_by_spi(id);
}

void UserLookup::find_by_spi(const core::Uuid& id) {
  // Its fields are the columns that are read, in their order.
  const auto rows = find_user(spi_.emplace(), id, Access::read_only);
  if (rows.empty()) return;
  is_found_ = true;
  for (std::size_t column = 0; column < Users::k_read; ++column)
    row_.values()[column] = rows.value(0, static_cast<int>(column) + 1, Users::k_columns[column].type);
}

void UserLookup::finish() {
  if (spi_)
    spi_->finish();
  else
    heap_.finish();
}

bool DirectLedger::open() {
  created_at_ = clock::transaction_start();
  return heap_.open(created_at_);
}

bool DirectLedger::add(NewRow<UsageRecords>& record) {
  record.set<UsageRecords::created_at>(created_at_);
  return heap_.insert(record.values());
}

}  // namespace claude_gpt::store
