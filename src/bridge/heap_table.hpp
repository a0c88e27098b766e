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
struct TupleTableSlot;

namespace claude_gpt::bridge {

struct HeapRelation;

class HeapTable {
 public:
  enum class Use { read, write };

  explicit constexpr HeapTable(const HeapDescription& description) : description_(description) {}

  const HeapDescription& description() const { return description_; }
  // Why rows are read or written by SPI, as far as it lies in the table; nullptr: they are not. Text of the server's
  // memory, valid for the call. A partitioned table: its partition for a moment.
  const char* obstacle(Use use, core::Instant moment);

 private:
  friend class HeapRow;
  friend class HeapInsertion;
  friend class OpenHeap;

  // Whether the session and the transaction allow it; 55000 and 42804 as a statement on the table has them.
  bool is_possible(Use use);
  // Whether something has changed since, of which taking a lock tells: its name may be another table's.
  bool is_outdated() const;

  const HeapDescription& description_;
  std::uint32_t relation_ = 0;
  HeapRelation* own_ = nullptr;
  HeapRelation* leaf_ = nullptr;  // that was written last
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
  void close();

  RelationData* relation_ = nullptr;
  HeapRelation* known_ = nullptr;
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

  explicit HeapRow(HeapTable& table) : table_(table) {}

  bool open(HeapTable::Use use);
  enum class Found { none, row, refused };
  // To read: in the caller's snapshot. To write: in a new one, after CommandCounterIncrement, as a statement has it;
  // `refused` where the row breaks a rule already. The values, one for each column of the description up to the span's
  // length, are valid until finish() or update().
  Found find(const core::Uuid& key, std::span<Value> values);
  // Where the answer is `changed`, the values are those of the newest version.
  Outcome update(std::span<const Change> changes, std::span<Value> values);
  void finish();

 private:
  HeapTable& table_;
  HeapTable::Use use_ = HeapTable::Use::read;
  core::Uuid key_;
  TupleTableSlot* slot_ = nullptr;
};

// Rows added to the partition for a moment.
class HeapInsertion : OpenHeap {
 public:
  explicit HeapInsertion(HeapTable& table) : table_(table) {}

  bool open(core::Instant moment);
  // A value for each column of the description, that of the partition key is the moment. False, and nothing is written,
  // where a rule of the table is broken: the same by SPI says which.
  bool insert(std::span<const Value> values);
  void finish();

 private:
  HeapTable& table_;
};

}  // namespace claude_gpt::bridge
