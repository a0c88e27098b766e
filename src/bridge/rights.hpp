// Whose rights a statement runs with.
// Statements on our tables run as the owner of the table they name, as foreign-key checks do: the caller
// needs EXECUTE on the function and nothing on the tables, and no trigger, policy or index expression of
// that owner ever gains the rights of the caller. Method: SetUserIdAndSecContext with
// SECURITY_LOCAL_USERID_CHANGE (no SET ROLE inside), SECURITY_NOFORCE_RLS, and for the calls of others
// SECURITY_RESTRICTED_OPERATION (42501 for deferred triggers and temporary tables of the owner;
// CursorsBefore for his cursors).
#pragma once

#include <cstdint>

#include "bridge/cursors.hpp"
#include "bridge/live_object.hpp"
#include "bridge/names.hpp"

namespace claude_gpt::bridge {

using RoleId = std::uint32_t;

// The owner of a schema; 0 if there is none.
RoleId find_schema_owner(const char* schema);
// The owner of a table of the schema of tables; 0 if there is no such table.
RoleId find_table_owner(const char* table);
// The same; 55000 if there is no such table.
RoleId require_table_owner(const char* table);

// True if the current user has the rights of the role: is it, inherits from it, or is a superuser.
bool current_user_has_rights_of(RoleId role);
bool current_user_is(RoleId role);

// 42501 unless the role has the rights of the owner of the table. For triggers that write a table of ours: EXECUTE is
// asked only when a trigger is made, and it may lie on a table of somebody who owned ours once.
void require_rights_over(const char* table, RoleId role);

// Settings that code of the owner changes within the scope are set back by finish(), or by the server after an
// error.
class RightsScope : LiveObject {
 public:
  explicit RightsScope(RoleId role);
  void finish();
  ~RightsScope();

 private:
  RoleId saved_role_ = 0;
  int saved_context_ = 0;
  int settings_level_ = 0;
  bool is_restricted_ = false;
  CursorsBefore cursors_;
};

}  // namespace claude_gpt::bridge
