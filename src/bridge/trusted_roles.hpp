// Whose code runs with the rights of a superuser anyway: roles that can become one.
#pragma once

#include "bridge/rights.hpp"

namespace claude_gpt::bridge::trusted_roles {

bool is_trusted(RoleId role);
// What is_trusted() has found is kept for one statement, since functions are called for every row.
void forget();

}  // namespace claude_gpt::bridge::trusted_roles
