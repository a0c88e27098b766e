#include "bridge/trusted_roles.hpp"

#include "bridge/server.hpp"

extern "C" {
#include <access/genam.h>
#include <access/table.h>
#include <catalog/pg_authid.h>
}

namespace claude_gpt::bridge::trusted_roles {

namespace {

struct KnownRole {
  Oid role;
  bool is_trusted;
};
constexpr int k_known_roles = 8;
constinit KnownRole known_roles[k_known_roles] = {};
constinit int next_known_role = 0;

bool can_become_superuser(Oid role) {
  if (superuser_arg(role)) return true;
  Relation roles = table_open(AuthIdRelationId, AccessShareLock);
  SysScanDesc scan = systable_beginscan(roles, InvalidOid, false, nullptr, 0, nullptr);
  bool can = false;
  for (HeapTuple tuple = systable_getnext(scan); !can && HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
    auto* other = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple));
    can = other->rolsuper && compat::can_become(role, other->oid);
  }
  systable_endscan(scan);
  table_close(roles, AccessShareLock);
  return can;
}

}  // namespace

bool is_trusted(RoleId role) {
  for (const KnownRole& known : known_roles)
    if (known.role == role) return known.is_trusted;
  const bool can = can_become_superuser(role);
  known_roles[next_known_role] = {role, can};
  next_known_role = (next_known_role + 1) % k_known_roles;
  return can;
}

void forget() {
  for (KnownRole& known : known_roles) known.role = InvalidOid;
}

}  // namespace claude_gpt::bridge::trusted_roles
