#include "bridge/rights.hpp"

#include "bridge/guard.hpp"
#include "core/failure.hpp"

extern "C" {
#include <catalog/pg_namespace.h>
}

namespace claude_gpt::bridge {

namespace {

// Code of the owner could leave something behind that runs with the rights of somebody else: before 18 a deferred
// trigger runs at commit as whoever commits, and a temporary table stands before ours in the rest of the session.
// SECURITY_RESTRICTED_OPERATION makes the server refuse both. Who is superuser needs no such
// detour; who may become one is held to it, though SQL counts him as one (claude_gpt_internal.is_superuser).
bool may_leave_something_to_others(Oid role, Oid caller) {
  if (superuser_arg(role)) return false;
  return caller != role || GetOuterUserId() != role || GetSessionUserId() != role || GetAuthenticatedUserId() != role;
}

int context_for(Oid role, Oid caller, int current) {
  int context = current | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS;
  if (may_leave_something_to_others(role, caller)) context |= SECURITY_RESTRICTED_OPERATION;
  return context;
}

}  // namespace

RoleId find_schema_owner(const char* schema) {
  return guarded([schema]() -> Oid {
    HeapTuple tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum(schema));
    if (!HeapTupleIsValid(tuple)) return InvalidOid;
    const Oid owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple))->nspowner;
    ReleaseSysCache(tuple);
    return owner;
  });
}

RoleId find_table_owner(const char* table) {
  return guarded([table]() -> Oid {
    const Oid schema = get_namespace_oid(k_data_schema, true);
    const Oid relation = OidIsValid(schema) ? get_relname_relid(table, schema) : InvalidOid;
    if (!OidIsValid(relation)) return InvalidOid;
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
    if (!HeapTupleIsValid(tuple)) return InvalidOid;
    const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
  });
}

bool current_user_has_rights_of(RoleId role) {
  return guarded([role] { return has_privs_of_role(GetUserId(), role); });
}

RoleId require_table_owner(const char* table) {
  const RoleId owner = find_table_owner(table);
  if (owner != 0) return owner;
  throw core::Failure(core::sqlstate::k_not_in_prerequisite_state,
                      std::string("table \"") + k_data_schema + "." + table + "\" does not exist", {},
                      "Run CALL claude_gpt.migrate().");
}

void require_rights_over(const char* table, RoleId role) {
  const RoleId owner = require_table_owner(table);
  if (role == owner || guarded([=] { return has_privs_of_role(role, owner); })) return;
  throw core::Failure(core::sqlstate::k_insufficient_privilege,
                      std::string("permission denied for table \"") + k_data_schema + "." + table + "\"",
                      "A trigger of claude_gpt lies on a table of a role that does not own it.", "Drop the trigger.");
}

bool current_user_is(RoleId role) { return GetUserId() == role; }

RightsScope::RightsScope(RoleId role) {
  Oid caller = InvalidOid;
  GetUserIdAndSecContext(&caller, &saved_context_);
  saved_role_ = caller;
  const int current = saved_context_;
  const int context = guarded([=] { return context_for(role, caller, current); });
  is_restricted_ = (context & ~current & SECURITY_RESTRICTED_OPERATION) != 0;
  if (role != caller) settings_level_ = guarded([] { return NewGUCNestLevel(); });
  if (is_restricted_) cursors_.note();
  SetUserIdAndSecContext(role, context);
}

void RightsScope::finish() {
  if (is_restricted_) cursors_.require_no_other();
  const int level = settings_level_;
  settings_level_ = 0;
  if (level != 0) guarded([level] { AtEOXact_GUC(false, level); });
}

RightsScope::~RightsScope() {
  cursors_.release();
  SetUserIdAndSecContext(saved_role_, saved_context_);
}

}  // namespace claude_gpt::bridge
