// Rows of our tables read and written through the access methods of table and indexes, without SPI and the executor.
// Only where that has the same effect: elsewhere open() answers false, before anything was done, and the caller goes by
// SPI. No code of anybody runs in between: neither triggers nor functions of indexes that are not the server's own.
//
//   HeapRow row{table};
//   if (!row.open(HeapTable::Use::write)) ...        // by SPI
//   if (row.find(id, values) != HeapRow::Found::row) ...
//   switch (row.update(changes, values)) ...
//   row.finish();
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "bridge/heap_description.hpp"
#include "bridge/live_object.hpp"
#include "bridge/table_types.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"

struct RelationData;
struct ResultRelInfo;
struct TupleTableSlot;

namespace claude_gpt::bridge {

struct HeapRelation;

// Where a row was that this transaction has found, and whose table it has kept locked since: looked at before an index
// is, since a turn comes to the same rows again.
struct HeapPlace {
  core::Uuid key;
  std::uint64_t relation = 0;  // number of what is known of it
  std::uint32_t block = 0;
  std::uint16_t offset = 0;  // 0: nowhere
  std::uint32_t transaction = 0;
  std::uint32_t subtransaction = 0;
};

class HeapTable {
 public:
  enum class Use { read, lock, write };

  explicit constexpr HeapTable(const HeapDescription& description) : description_(description) {}

  const HeapDescription& description() const { return description_; }
  // Why rows are read or written by SPI, as far as it lies in the table; nullptr: they are not. Text of the server's
  // memory, valid for the call. A partitioned table: its partition for a moment.
  const char* obstacle(Use use, core::Instant moment);
  // What a statement that locks or writes rows would say before it looks at any: 25006 in a READ ONLY transaction and
  // on a standby, 55000 and 42P10 where a publication needs to identify rows that cannot be.
  void require_writable(Use use);

 private:
  friend class HeapRow;
  friend class HeapInsertion;
  friend class OpenHeap;

  // Whether the session and the transaction allow it; 55000 and 42804 as a statement on the table has them.
  bool is_possible(Use use);
  // Whether something has changed since, of which taking a lock tells: its name may be another table's.
  bool is_outdated() const;
  // Its partition for a moment; 0 where rows may not be written so.
  std::uint32_t find_leaf(core::Instant moment);

  const HeapDescription& description_;
  std::uint32_t relation_ = 0;
  HeapRelation* own_ = nullptr;
  HeapRelation* leaf_ = nullptr;  // that was written last
  HeapPlace last_found_;
  TableSet set_ = 0;
  std::uint64_t relcache_seen_at_ = 0;
  std::uint64_t catalogs_seen_at_ = 0;
};

// A relation with what is known of it, open until finish(). Its lock is kept until the transaction ends.
class OpenHeap : LiveObject {
 public:
  ~OpenHeap();
  OpenHeap() = default;

 protected:
  // False, and nothing is open, where it is gone or has an obstacle.
  bool open(HeapRelation*& known, const HeapDescription& description, std::uint32_t oid, bool is_leaf,
            HeapTable::Use use);
  // False, and it is closed, where waiting for the lock has told of a change.
  bool is_still(const HeapTable& table);
  // Of a row that was written. The indexes stay open. Within guarded().
  void add_index_entries(TupleTableSlot* row, bool is_update, bool only_summarizing);
  void close();

  RelationData* relation_ = nullptr;
  HeapRelation* known_ = nullptr;

 private:
  ResultRelInfo* indexes_ = nullptr;
};

// A row found by the key.
class HeapRow : OpenHeap {
 public:
  struct Change {
    int column;
    Value value;
  };
  enum class Outcome {
    written,
    changed,  // somebody else has changed it: it stands for its newest version now, which is locked; decide again
    gone,     // somebody else has deleted it, or changed its key: find it again
    refused   // a rule of the table is broken: the same by SPI says which
  };

  // `is_own`: this call has inserted the row that is written, so that no trigger of its insertion is still to come.
  explicit HeapRow(HeapTable& table, bool is_own = false) : table_(table), is_own_(is_own) {}

  bool open(HeapTable::Use use);
  enum class Found { none, row, refused };
  // To read: in the caller's snapshot. To lock or write: in a new one, after CommandCounterIncrement, as a statement
  // has it; `refused` where the row breaks a rule already, or may not be written before its foreign keys were checked.
  // The values, one for each column of the description up to the span's length, are valid until finish(), lock() or
  // update().
  Found find(const core::Uuid& key, std::span<Value> values);
  // The newest of a group that is not in the state of those to pass over. False: there is no index for it.
  bool can_find_newest() const;
  Found find_newest(const core::Uuid& group, std::span<Value> values);
  // Whether a row refers to that with the key: any, or one that is not in the state of those to pass over. False: there
  // is no index for it.
  bool can_find_referring() const;
  enum class States { all, present };
  bool is_referred_to(const core::Uuid& key, States states);
  // Of the row that was found, until the transaction ends, as FOR KEY SHARE and FOR NO KEY UPDATE have it. The values
  // are those of its newest version. `none`: somebody has deleted it or changed its key meanwhile.
  enum class Lock { key_share, no_key_update };
  Found lock(Lock mode, std::span<Value> values);
  // Where the answer is `changed`, the values are those of the newest version.
  Outcome update(std::span<const Change> changes, std::span<Value> values);
  void finish();

 private:
  // Of the row in the slot.
  Found take(std::span<Value> values);
  bool is_where_it_was();
  void remember_place();
  bool has_key() const;

  HeapTable& table_;
  bool is_own_;
  HeapTable::Use use_ = HeapTable::Use::read;
  core::Uuid key_;
  TupleTableSlot* slot_ = nullptr;
};

// Rows added to a table; where it is partitioned, to the partition for a moment.
class HeapInsertion : OpenHeap {
 public:
  explicit HeapInsertion(HeapTable& table) : table_(table) {}

  bool open(core::Instant moment = {});
  // A value for each column of the description, that of the partition key is the moment; of those that are not written,
  // it is not looked at. False, and nothing is written, where a rule of the table is broken: the same by SPI says
  // which.
  bool insert(std::span<const Value> values);
  void finish();

 private:
  HeapTable& table_;
};

}  // namespace claude_gpt::bridge
