#include "store/usage_records.hpp"

#include "bridge/clock.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// Whether all that the records refer to is locked.
bool is_kept(LockedAt user, const UsageDetail& detail) {
  return user.holds() && (detail.kept.holds() || (!detail.message_id && !detail.conversation_id));
}

}  // namespace

Ledger::Ledger(LockedAt user, const UsageDetail& detail)
    : now_(clock::transaction_start()), rows_(is_kept(user, detail), now_) {}

NewRow<UsageRecords> Ledger::row_of(const UsageRecord& record, const UsageDetail& detail) const {
  NewRow<UsageRecords> row;
  row.set<UsageRecords::id>(record.id);
  row.set<UsageRecords::user_id>(record.user_id);
  row.set<UsageRecords::usage_type>(core::name_of(record.kind));
  row.set<UsageRecords::quantity>(record.quantity);
  row.pass<UsageRecords::model_used>(passed(detail.model));
  row.set<UsageRecords::cost>(record.cost);
  row.set_or_null<UsageRecords::message_id>(detail.message_id);
  row.set_or_null<UsageRecords::conversation_id>(detail.conversation_id);
  row.pass<UsageRecords::metadata>(passed(detail.metadata));
  row.set<UsageRecords::created_at>(now_);
  row.set<UsageRecords::billing_period>(record.period);
  if (detail.tokens && record.kind == core::Action::token) {
    row.set<UsageRecords::prompt_tokens>(detail.tokens->prompt);
    row.set<UsageRecords::completion_tokens>(detail.tokens->completion);
    row.set_or_null<UsageRecords::cached_prompt_tokens>(detail.tokens->cached_prompt);
    row.set_or_null<UsageRecords::cache_write_tokens>(detail.tokens->cache_write);
    row.set_or_null<UsageRecords::reasoning_tokens>(detail.tokens->reasoning);
  }
  return row;
}

void Ledger::add(const UsageRecord& record, const UsageDetail& detail) { rows_.add(row_of(record, detail)); }

void Ledger::add(const UsageRecord& first, const UsageDetail& of_first, const UsageRecord& second,
                 const UsageDetail& of_second) {
  rows_.add(row_of(first, of_first), row_of(second, of_second));
}

}  // namespace claude_gpt::store
