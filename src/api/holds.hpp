// Holds that end by themselves.
#pragma once

#include "api/users.hpp"
#include "core/calendar.hpp"
#include "core/identifiers.hpp"
#include "core/quota.hpp"

namespace claude_gpt::api {

// Whether holds of the user are to be looked at before anything is decided by the row: one is due, or is of the future.
bool has_holds_to_look_at(const UserRow& user, core::Instant now);

// Locks the user, brings holds of the future near, and gives back what is due.
void look_at_holds(const core::Uuid& user_id, core::Instant now);

// What is held now, for functions that only read: without the holds that are due. `user` is the user's row.
core::Holds holds_now(const core::Uuid& user_id, const UserRow& user, bool with_cost, core::Instant now);

}  // namespace claude_gpt::api
