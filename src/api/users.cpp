#include "api/users.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

// clang-format off
#define CLAUDE_GPT_SELECT_USER "SELECT " CLAUDE_GPT_USER_COLUMNS " FROM claude_gpt_data.users AS u WHERE u.id OPERATOR(pg_catalog.=) $1"
// clang-format on

constinit Statement k_find{"users", CLAUDE_GPT_SELECT_USER, {Type::uuid}};
// clang-format off
constinit Statement k_lock{"users", CLAUDE_GPT_SELECT_USER " FOR NO KEY UPDATE", {Type::uuid}};

constinit Statement k_lock_if_free{"users", CLAUDE_GPT_SELECT_USER " FOR NO KEY UPDATE SKIP LOCKED", {Type::uuid}};
// clang-format on

Rows require(const Rows& user, const core::Uuid& user_id) {
  if (user.empty()) throw unknown_user(user_id);
  return user;
}

}  // namespace

Rows find_user(Spi& spi, const core::Uuid& user_id, Access access) {
  return require(spi.execute(k_find, {Value::borrowed(user_id)}, access), user_id);
}

Rows lock_user(Spi& spi, const core::Uuid& user_id) {
  return require(spi.execute(k_lock, {Value::borrowed(user_id)}, Access::read_write), user_id);
}

Rows lock_user_if_free(Spi& spi, const core::Uuid& user_id) {
  return spi.execute(k_lock_if_free, {Value::borrowed(user_id)}, Access::read_write);
}

const store::Row<store::Users>& require_user(const store::UserLookup& lookup, const core::Uuid& user_id) {
  if (lookup.row() == nullptr) throw unknown_user(user_id);
  return *lookup.row();
}

}  // namespace claude_gpt::api
