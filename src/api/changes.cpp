// Topic changes: notify_change(), the trigger that tells caches what has changed.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/entry.hpp"
#include "bridge/notification.hpp"
#include "bridge/report.hpp"
#include "bridge/settings.hpp"
#include "bridge/trigger.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

constexpr char k_channel[] = "claude_gpt_changes";
// Beyond it a row is not told by itself: a cache that is told "any row" forgets the table at once.
constexpr std::uint32_t k_most_rows_of_a_transaction = 100;
// A full queue would make every COMMIT fail that notifies, until whoever listens goes on.
constexpr double k_full = 0.9;

constexpr std::size_t k_longest_payload = 7999;  // of the server

struct Sent {
  std::uint32_t transaction = 0;
  std::uint32_t rows = 0;
};
constinit Sent sent;

// Rows of a savepoint that was rolled back count too.
std::uint32_t count_row() {
  if (const std::uint32_t transaction = notification::transaction_number(); sent.transaction != transaction)
    sent = {transaction, 0};
  return ++sent.rows;
}

// A JSON string.
std::string quoted(std::string_view text) {
  constexpr char k_digits[] = "0123456789abcdef";
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    if (static_cast<unsigned char>(c) >= 0x20)
      json += c;
    else
      json += {'\\', 'u', '0', '0', k_digits[c >> 4], k_digits[c & 15]};
  }
  return json + '"';
}

// No text: any row of the table.
void notify(std::string_view table, const std::optional<std::string>& row) {
  const std::string table_part = "{\"table\":" + quoted(table) + ",\"id\":";
  std::string payload = table_part + (row ? quoted(*row) : "null") + '}';
  if (payload.size() > k_longest_payload) payload = table_part + "null}";
  notification::send(k_channel, payload.c_str());
}

}  // namespace

CLAUDE_GPT_FUNCTION(notify_change) {
  Trigger trigger{call};
  trigger.require_after("notify_change");
  if (!settings::notify_changes() || trigger.keeps_named_columns()) return no_result();
  if (notification::queue_usage() >= k_full) {
    report::warning(
        "the queue of notifications is nearly full: nobody is told of this change",
        "Caches keep what they have until it expires. End the session that listens but does not read: see pg_stat_activity.");
    return no_result();
  }
  const char* table = trigger.table_name();
  if (!trigger.is_for_row() || count_row() > k_most_rows_of_a_transaction) {
    notify(table, std::nullopt);
    return no_result();
  }
  const char* column = trigger.argument_count() > 0 ? trigger.argument(0) : "id";
  const auto before = trigger.old_text(column);
  const auto after = trigger.new_text(column);
  if (before) notify(table, before);
  if (after && after != before) notify(table, after);
  return no_result();
}

}  // namespace claude_gpt::api
