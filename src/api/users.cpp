#include "api/users.hpp"

namespace claude_gpt::api {

UserRow require_user(store::StoredRow<store::Users>& user, const core::Uuid& user_id) {
  if (!user.find()) throw unknown_user(user_id);
  return UserRow{user.row()};
}

void require_user(const core::Uuid& user_id) {
  store::StoredRow<store::Users> user{user_id};
  user.open(store::RowUse::read);
  require_user(user, user_id);
  user.finish();
}

void lock_user(const core::Uuid& user_id) {
  store::StoredRow<store::Users> user{user_id};
  user.open(store::RowUse::lock);
  if (!user.lock(store::RowLock::no_key_update)) throw unknown_user(user_id);
  user.finish();
}

}  // namespace claude_gpt::api
