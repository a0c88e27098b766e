// Topic conversations: hand_over_replies(), the trigger that lets the replies of a deleted message follow what it
// followed.
#include <cstdint>

#include "bridge/entry.hpp"
#include "bridge/rights.hpp"
#include "bridge/spi.hpp"
#include "bridge/trigger.hpp"
#include "store/messages.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// Of ids that are followed one by one: whether they go in a ring, into which an application could tie parents. One of
// them is kept at each power of two, which a ring comes to again. Method: R. P. Brent, "An improved Monte Carlo
// factorization algorithm", BIT 20 (1980), section 2.
class Ring {
 public:
  explicit Ring(const core::Uuid& first) : kept_(first) {}

  bool is_closed_by(const core::Uuid& id) {
    if (id == kept_) return true;
    if (++steps_ == 2 * steps_of_kept_) {
      kept_ = id;
      steps_of_kept_ = steps_;
    }
    return false;
  }

 private:
  core::Uuid kept_;
  std::uint64_t steps_ = 1;
  std::uint64_t steps_of_kept_ = 1;
};

// What a deleted message followed, past those that are deleted with it; nothing: what follows it begins a branch of its
// own. These were found by the statement that deletes them, and are there still in its snapshot.
std::optional<core::Uuid> keep_followed(Spi& spi, core::Uuid id) {
  Ring ring{id};
  auto message = store::find_deleted_message(spi, id);
  for (; message && message->parent_id; message = store::find_deleted_message(spi, id)) {
    if (!store::keep_parent(spi, *message->parent_id).empty()) return message->parent_id;
    id = *message->parent_id;
    if (ring.is_closed_by(id)) return std::nullopt;
  }
  if (!message || message->is_root) return std::nullopt;
  return store::keep_message_before_deleted(spi, id, *message);
}

}  // namespace

CLAUDE_GPT_FUNCTION(hand_over_replies) {
  Trigger trigger{call};
  trigger.require_after_delete("hand_over_replies");
  require_rights_over("messages", trigger.table_owner());
  const Value key = trigger.old_value("id", Type::uuid);
  if (key.is_null) return no_result();
  const auto id = value_as<core::Uuid>(key.datum);
  if (!store::has_replies(id)) return no_result();
  Spi spi;
  store::hand_over_replies(spi, id, keep_followed(spi, id));
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
