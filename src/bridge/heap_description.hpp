// What a table that goes without the executor is: its columns, what of them is written how, and whose triggers are done
// without being fired.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "bridge/table_types.hpp"

namespace claude_gpt::bridge {

// An enabled trigger that the statement would fire, whose function is one of this library.
struct HeapTrigger {
  std::string_view function;  // its C symbol
  bool is_before_row;
  bool is_after_statement;
  std::span<const char* const> arguments;
};

// A column that refers to the key "id" of another table of ours. Whoever writes a value keeps that row locked.
struct HeapReference {
  int column;
  const char* table;
};

// How the rows of a group are found, the newest first: by an index on these columns, the latter two descending.
struct HeapOrder {
  int group = -1;                // of type uuid; none: rows are not found so
  int moment = -1;               // of type timestamptz
  int id = -1;                   // of type uuid, among rows of one moment
  int state = -1;                // of type text
  std::string_view absent = {};  // rows of this state are passed over
};

// Columns are numbered as they stand in `columns`.
struct HeapDescription {
  enum class Event { update, insert };

  const char* table;
  std::span<const ColumnType> columns;
  std::uint64_t written;           // the columns that are written, as bits; others of a new row have their defaults
  Event event = Event::update;     // how
  std::uint64_t required = 0;      // rows in which one of these is NULL are refused
  std::uint64_t not_negative = 0;  // of type integer, bigint or numeric: rows that have less than zero are refused
  int key = -1;                    // of type uuid, the primary key: rows are found by it
  HeapOrder newest = {};
  int referring = -1;              // of type uuid: which row of the table a row refers to
  int partition_key = -1;          // of type timestamptz: rows go to a partition by ranges of it
  int replaced_trigger_count = 0;  // the triggers of ours that must be there
  // Whether whoever writes rows does what that trigger would. Called within a guarded call.
  bool (*replaces)(const HeapTrigger&) noexcept = nullptr;
  std::span<const HeapReference> references = {};

  bool writes(std::size_t column) const { return (written >> column & 1) != 0; }
};

}  // namespace claude_gpt::bridge
