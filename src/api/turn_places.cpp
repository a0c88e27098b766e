// Topic conversations: where begin_turn() puts a turn in its conversation.
#include "api/turn_places.hpp"

#include "api/identifiers.hpp"
#include "api/users.hpp"
#include "bridge/spi.hpp"
#include "store/conversations.hpp"
#include "store/messages.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// Of the message in whose place another one is put, also what it follows. Whoever deletes that hands it over: then the
// next look finds what it follows now.
store::GivenMessage keep_followed(const AskedPlace& asked, store::GivenMessage given) {
  const auto is_kept = [](const core::Uuid& id) {
    Spi spi;
    const bool is_there = !store::keep_parent(spi, id).empty();
    spi.finish();
    return is_there;
  };
  while (given.followed_id && !is_kept(*given.followed_id)) {
    const auto again = store::keep_given_message(asked.user_id, *asked.conversation_id, *asked.parent_id);
    if (!again || !again->id) throw unknown_of("message", *asked.parent_id, "conversation");
    if (again->followed_id == given.followed_id) return *again;  // it is not there, whatever let it be so
    given = *again;
  }
  return given;
}

}  // namespace

TurnParent keep_turn_parent(const AskedPlace& asked) {
  constexpr TurnParent k_none_of_new_conversation{std::nullopt, std::nullopt, {}, true};
  if (!asked.conversation_id) return k_none_of_new_conversation;
  const auto require = [&](const auto& found) {
    if (!found) throw unknown_of("conversation", *asked.conversation_id, "user");
    return *found;
  };
  if (!asked.parent_id) {
    const auto newest = store::keep_newest_message(asked.user_id, *asked.conversation_id);
    if (!newest && asked.may_create) return k_none_of_new_conversation;
    return {require(newest).message_id, newest->newest, newest->kept};
  }
  const store::GivenMessage given =
      require(store::keep_given_message(asked.user_id, *asked.conversation_id, *asked.parent_id));
  if (!given.id) throw unknown_of("message", *asked.parent_id, "conversation");
  // What a tool has answered is told to the model without a word of the user.
  if (asked.regenerates && !given.is_of_the_user && !given.is_of_a_tool)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_content must not be null",
                        "Only a message of the user or of a tool is answered without content.");
  // A message of the user in the place of another one: an edit, beside it.
  if (!asked.regenerates && given.is_of_the_user) {
    const store::GivenMessage edited = keep_followed(asked, given);
    return {edited.followed_id, edited.newest, edited.followed_id ? store::LockedAt{} : edited.kept};
  }
  return {asked.parent_id, given.newest, given.kept};
}

}  // namespace claude_gpt::api
