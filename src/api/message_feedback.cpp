// Topic conversations: set_message_feedback().
#include "store/message_feedback.hpp"

#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/users.hpp"
#include "bridge/entry.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

std::optional<UnreadText> rating_in(const Call& call) {
  const auto rating = call.find<UnreadText>(arg::set_message_feedback::p_rating);
  const auto name = rating ? value_as<std::string_view>(rating->datum) : "up";
  if (name == "up" || name == "down") return rating;
  throw core::Failure(core::sqlstate::k_invalid_parameter_value, "rating \"" + std::string(name) + "\" is not known",
                      "Ratings are up and down.");
}

}  // namespace

CLAUDE_GPT_FUNCTION(set_message_feedback) {
  const auto user_id = call.required(arg::set_message_feedback::p_user_id);
  const auto message_id = call.required(arg::set_message_feedback::p_message_id);
  const auto rating = rating_in(call);
  const auto comment = call.find<UnreadText>(arg::set_message_feedback::p_comment);
  if (!rating && comment)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_comment must be null where p_rating is",
                        "NULL takes the feedback back, with what was said.");
  require_current_tables();
  // The user first, as everywhere: the foreign keys lock the message before him.
  lock_user(user_id);
  Spi spi;
  if (!store::keep_message_of_conversation(spi, user_id, message_id)) throw unknown_of("message", message_id, "user");
  if (rating)
    store::write_feedback(spi, user_id, message_id, *rating, comment);
  else
    store::delete_feedback(spi, user_id, message_id);
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
