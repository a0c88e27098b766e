// Topic conversations: list_conversations(), conversation_messages(), conversation_path(), delete_conversation().
#include "store/conversations.hpp"

#include "api/schema.hpp"
#include "api/signatures.hpp"
#include "api/users.hpp"
#include "bridge/entry.hpp"
#include "store/messages.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

std::int64_t require_page(const Call& call, const Parameter<std::int32_t>& p_limit) {
  constexpr std::int32_t k_most = 1000;
  const auto limit = call.required(p_limit);
  if (limit < 1 || limit > k_most)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_limit must be from 1 to 1000");
  return limit;
}

}  // namespace

CLAUDE_GPT_FUNCTION(list_conversations) {
  const auto user_id = call.required(arg::list_conversations::p_user_id);
  const auto before = call.find(arg::list_conversations::p_before);
  const std::int64_t limit = require_page(call, arg::list_conversations::p_limit);
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  store::ConversationsBefore place{std::nullopt, before};
  if (before) {
    const auto anchor = store::find_conversation(spi, user_id, *before, Access::read_only);
    if (anchor.empty()) throw unknown_of("conversation", *before, "user");
    place.last_message_at = anchor.first();
  }
  const auto page =
      store::list_conversations(spi, user_id, call.find(arg::list_conversations::p_archived), place, limit);
  if (page.empty()) require_user(user_id);
  result.add(page);
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(conversation_messages) {
  const auto user_id = call.required(arg::conversation_messages::p_user_id);
  const auto conversation_id = call.required(arg::conversation_messages::p_conversation_id);
  const auto before = call.find(arg::conversation_messages::p_before);
  const std::int64_t limit = require_page(call, arg::conversation_messages::p_limit);
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  if (store::find_conversation(spi, user_id, conversation_id, Access::read_only).empty())
    throw unknown_of("conversation", conversation_id, "user");
  if (!before) {
    result.add(store::read_first_page(spi, conversation_id, limit));
  } else {
    const auto anchor = store::find_message(spi, conversation_id, *before);
    if (anchor.empty()) throw unknown_of("message", *before, "conversation");
    result.add(store::read_next_page(spi, conversation_id, limit, anchor.first(), *before));
  }
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(conversation_path) {
  const auto user_id = call.required(arg::conversation_path::p_user_id);
  const auto leaf_id = call.required(arg::conversation_path::p_leaf_message_id);
  const auto most_tokens = call.find(arg::conversation_path::p_max_tokens);
  if (most_tokens && *most_tokens < 1)
    throw core::Failure(core::sqlstate::k_invalid_parameter_value, "p_max_tokens must be at least 1");
  const std::optional<std::int64_t> most{most_tokens};
  require_current_tables();
  ResultSet result{call};
  Spi spi;
  const auto path = store::read_path(spi, user_id, leaf_id, most);
  if (path.empty()) throw unknown_of("message", leaf_id, "user");
  result.add(path);
  spi.finish();
  return no_result();
}

CLAUDE_GPT_FUNCTION(delete_conversation) {
  const auto user_id = call.required(arg::delete_conversation::p_user_id);
  const auto conversation_id = call.required(arg::delete_conversation::p_conversation_id);
  require_current_tables();
  // The user first, as everywhere.
  lock_user(user_id);
  Spi spi;
  if (store::find_conversation(spi, user_id, conversation_id, Access::read_write).empty())
    throw unknown_of("conversation", conversation_id, "user");
  store::lock_messages_of(spi, conversation_id);
  if (!store::delete_conversation(spi, user_id, conversation_id))
    throw unknown_of("conversation", conversation_id, "user");
  spi.finish();
  return no_result();
}

}  // namespace claude_gpt::api
