#include "api/users.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

Result<store::User> require(const Result<store::User>& user, const core::Uuid& user_id) {
  if (user.empty()) throw unknown_user(user_id);
  return user;
}

}  // namespace

Result<store::User> find_user(Spi& spi, const core::Uuid& user_id, Access access) {
  return require(store::find_user(spi, user_id, access), user_id);
}

Result<store::User> lock_user(Spi& spi, const core::Uuid& user_id) {
  return require(store::lock_user(spi, user_id), user_id);
}

const store::Row<store::Users>& require_user(const store::UserLookup& lookup, const core::Uuid& user_id) {
  if (lookup.row() == nullptr) throw unknown_user(user_id);
  return *lookup.row();
}

}  // namespace claude_gpt::api
