#include "bridge/owners_code.hpp"

#include "bridge/server.hpp"
#include "bridge/trusted_roles.hpp"

extern "C" {
#include <access/parallel.h>
#include <catalog/objectaccess.h>
#include <catalog/pg_language_d.h>
#include <catalog/pg_proc.h>
#include <nodes/parsenodes.h>
#include <tcop/tcopprot.h>
#include <tcop/utility.h>
#include <utils/regproc.h>
}

namespace claude_gpt::bridge::owners_code {

namespace {

using trusted_roles::is_trusted;

constinit bool is_bound = false;
constinit ProcessUtility_hook_type previous_utility = nullptr;
constinit ExecutorStart_hook_type previous_start = nullptr;
constinit ExecutorCheckPerms_hook_type previous_check = nullptr;
constinit object_access_hook_type previous_access = nullptr;
constinit needs_fmgr_hook_type previous_needs = nullptr;
constinit fmgr_hook_type previous_call = nullptr;

// What the innermost running statement or function may do.
struct State {
  Oid bound_to = InvalidOid;             // whose rights a function runs with by rule 1
  bool is_lifted = false;                // rule 3 does not hold: what is evaluated is of superusers
  bool is_lifted_in_restricted = false;  // the same, where the server has taken the rights of an owner by itself
  bool copy_has_no_role_yet = false;
};
constinit State state;

// --- What a relation is made of ---

// Owners of the relations of one tree of partitions or inheritance, and of the types, functions, operators and views
// that they are made of. A function's own parts are not followed: it runs with its owner's rights, or is a superuser's.
constexpr char k_owners_of_parts[] = R"(
WITH RECURSIVE tree (relation) AS (
    SELECT $1
    UNION
    SELECT n.relation FROM tree AS t CROSS JOIN LATERAL (
        SELECT i.inhparent FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid OPERATOR(pg_catalog.=) t.relation
        UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent OPERATOR(pg_catalog.=) t.relation) AS n (relation)
), part (class, id) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, t.relation FROM tree AS t
    UNION
    SELECT n.class, n.id FROM part AS p CROSS JOIN LATERAL (
        SELECT d.refclassid, d.refobjid FROM pg_catalog.pg_depend AS d
        WHERE d.classid OPERATOR(pg_catalog.=) p.class AND d.objid OPERATOR(pg_catalog.=) p.id
        UNION ALL
        SELECT d.classid, d.objid FROM pg_catalog.pg_depend AS d
        WHERE d.refclassid OPERATOR(pg_catalog.=) p.class AND d.refobjid OPERATOR(pg_catalog.=) p.id
          AND d.deptype OPERATOR(pg_catalog.=) ANY ('{a,i}')) AS n (class, id)
    WHERE p.class OPERATOR(pg_catalog.<>) 'pg_catalog.pg_proc'::pg_catalog.regclass
      AND (n.class OPERATOR(pg_catalog.=) ANY ('{pg_catalog.pg_type,pg_catalog.pg_proc,pg_catalog.pg_operator,pg_catalog.pg_constraint,pg_catalog.pg_attrdef,pg_catalog.pg_rewrite}'::pg_catalog.regclass[])
           OR n.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
              AND EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) n.id
                          AND (c.relkind OPERATOR(pg_catalog.=) ANY ('{v,m,c}') OR p.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass)))
)
SELECT DISTINCT s.refobjid FROM part AS p JOIN pg_catalog.pg_shdepend AS s
    ON s.classid OPERATOR(pg_catalog.=) p.class AND s.objid OPERATOR(pg_catalog.=) p.id
WHERE s.dbid OPERATOR(pg_catalog.=) $2 AND s.deptype OPERATOR(pg_catalog.=) 'o')";

// The one kind of type whose input runs expressions, be it in an array, a range or a row: a literal is read where it is
// parsed.
constexpr char k_owners_of_domains[] = R"(
SELECT DISTINCT s.refobjid FROM pg_catalog.pg_shdepend AS s JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) s.objid
WHERE s.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass AND s.dbid OPERATOR(pg_catalog.=) $2
  AND s.deptype OPERATOR(pg_catalog.=) 'o' AND t.typtype OPERATOR(pg_catalog.=) 'd' AND $1 IS NOT NULL)";

// The first role of the query's answer that is not trusted. After an error the statement puts the state back.
Oid find_stranger(const char* query, Oid relation) {
  Oid types[] = {OIDOID, OIDOID};
  Datum values[] = {ObjectIdGetDatum(relation), ObjectIdGetDatum(MyDatabaseId)};
  Oid stranger = InvalidOid;
  const bool was_lifted = state.is_lifted;
  state.is_lifted = true;
  SPI_connect();
  if (SPI_execute_with_args(query, 2, types, values, nullptr, true, 0) != SPI_OK_SELECT)
    elog(ERROR, "cannot read the owners of relation %u", relation);
  for (uint64 row = 0; row < SPI_processed && !OidIsValid(stranger); row++) {
    bool is_null = false;
    const Oid owner = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &is_null));
    if (!is_trusted(owner)) stranger = owner;
  }
  SPI_finish();
  state.is_lifted = was_lifted;
  return stranger;
}

// Who is not trusted and has to do with what the relation evaluates: its owner if it is him. InvalidOid: nobody.
Oid find_stranger_behind(Oid relation) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
  if (!HeapTupleIsValid(tuple)) return InvalidOid;
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return is_trusted(owner) ? find_stranger(k_owners_of_parts, relation) : owner;
}

// --- Statements ---

// The server gives them back by itself after an error.
void take_rights_of(Oid role) {
  Oid user = InvalidOid;
  int context = 0;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(role,
                         context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS);
}

void evaluate_for(Oid relation) {
  const Oid stranger = find_stranger_behind(relation);
  if (OidIsValid(stranger))
    take_rights_of(stranger);
  else
    state.is_lifted = true;
}

// COPY has found its table and asked whether the superuser may write it; all that comes is evaluation.
template <typename... Rest> bool on_check_permissions(List* range_table, Rest... rest) {
  if (previous_check != nullptr && !previous_check(range_table, rest...)) return false;
  if (!state.copy_has_no_role_yet) return true;
  state.copy_has_no_role_yet = false;
  evaluate_for(linitial_node(RangeTblEntry, range_table)->relid);
  return true;
}

bool proves_a_check(AlterTableCmd* command) {
  if (command->subtype == AT_ValidateConstraint) return true;
  return command->subtype == AT_AddConstraint && castNode(Constraint, command->def)->contype == CONSTR_CHECK;
}

bool builds_an_index(AlterTableCmd* command) {
  if (command->subtype != AT_AddConstraint) return false;
  const ConstrType kind = castNode(Constraint, command->def)->contype;
  return kind == CONSTR_PRIMARY || kind == CONSTR_UNIQUE || kind == CONSTR_EXCLUSION;
}

void prepare_alter_table(AlterTableStmt* statement) {
  const Oid relation = RangeVarGetRelid(statement->relation, NoLock, true);
  if (!OidIsValid(relation)) return;
  bool proves = true;
  bool builds = true;
  ListCell* cell = nullptr;
  foreach (cell, statement->cmds) {
    proves = proves && proves_a_check(lfirst_node(AlterTableCmd, cell));
    builds = builds && builds_an_index(lfirst_node(AlterTableCmd, cell));
  }
  if (builds) state.is_lifted_in_restricted = !OidIsValid(find_stranger_behind(relation));
  if (!proves) return;
  // A superuser's statement is parsed with his rights, and may hold a literal of somebody's domain.
  if (OidIsValid(find_stranger_behind(relation)) || !OidIsValid(find_stranger(k_owners_of_domains, relation)))
    evaluate_for(relation);
}

bool evaluates_for_an_owner(Node* statement) {
  const NodeTag tag = nodeTag(statement);
  return tag == T_CopyStmt || tag == T_AlterTableStmt || tag == T_IndexStmt || tag == T_RefreshMatViewStmt;
}

bool is_lent_nothing() {
  trusted_roles::forget();
  return !is_trusted(GetUserId());
}

void prepare(Node* statement) {
  if (!evaluates_for_an_owner(statement) || is_lent_nothing()) return;
  switch (nodeTag(statement)) {
    case T_CopyStmt: {
      auto* copy = reinterpret_cast<CopyStmt*>(statement);
      state.copy_has_no_role_yet = copy->is_from && copy->relation != nullptr;
      return;
    }
    case T_AlterTableStmt: prepare_alter_table(reinterpret_cast<AlterTableStmt*>(statement)); return;
    case T_IndexStmt: {
      const Oid relation = RangeVarGetRelid(reinterpret_cast<IndexStmt*>(statement)->relation, NoLock, true);
      state.is_lifted_in_restricted = OidIsValid(relation) && !OidIsValid(find_stranger_behind(relation));
      return;
    }
    case T_RefreshMatViewStmt: {
      const Oid relation = RangeVarGetRelid(reinterpret_cast<RefreshMatViewStmt*>(statement)->relation, NoLock, true);
      state.is_lifted_in_restricted = OidIsValid(relation) && !OidIsValid(find_stranger_behind(relation));
      return;
    }
    default: return;
  }
}

// Statements that change settings or commit by themselves; the others keep no setting that code called by them changes.
bool may_change_settings(Node* statement) {
  switch (nodeTag(statement)) {
    case T_VariableSetStmt:
    case T_TransactionStmt:
    case T_DiscardStmt:
    case T_CallStmt:
    case T_DoStmt:
    case T_LoadStmt:
    case T_CreateExtensionStmt:
    case T_AlterExtensionStmt:
    case T_CreatedbStmt:
    case T_DropdbStmt:
    case T_VacuumStmt:
    case T_ReindexStmt:
    case T_ClusterStmt: return true;
    default: return false;
  }
}

void on_utility(PlannedStmt* statement, const char* text, bool read_only_tree, ProcessUtilityContext context,
                ParamListInfo parameters, QueryEnvironment* environment, DestReceiver* receiver,
                QueryCompletion* completion) {
  const State outer = state;
  const volatile bool is_ours = !state.is_lifted && !creating_extension && !may_change_settings(statement->utilityStmt);
  const volatile int settings_level = is_ours ? NewGUCNestLevel() : 0;
  Oid user = InvalidOid;
  int security = 0;
  GetUserIdAndSecContext(&user, &security);
  PG_TRY();
  {
    if (is_ours) prepare(statement->utilityStmt);
    (previous_utility != nullptr ? previous_utility : standard_ProcessUtility)(
        statement, text, read_only_tree, context, parameters, environment, receiver, completion);
  }
  PG_FINALLY();
  { state = outer; }
  PG_END_TRY();
  if (!is_ours) return;
  AtEOXact_GUC(false, settings_level);
  SetUserIdAndSecContext(user, security);
}

// SELECT pg_catalog.setval(...) and its like, which pg_restore sends: no table, so nothing of anybody else. What they
// evaluate when they run is not lifted.
bool asks_no_table(QueryDesc* query) {
  if (query->operation != CMD_SELECT) return false;
  ListCell* cell = nullptr;
  foreach (cell, query->plannedstmt->rtable) {
    const RTEKind kind = lfirst_node(RangeTblEntry, cell)->rtekind;
    if (kind != RTE_RESULT && kind != RTE_FUNCTION) return false;
  }
  return true;
}

void on_start(QueryDesc* query, int flags) {
  const State outer = state;
  PG_TRY();
  {
    if (asks_no_table(query)) state.is_lifted = true;
    (previous_start != nullptr ? previous_start : standard_ExecutorStart)(query, flags);
  }
  PG_FINALLY();
  { state = outer; }
  PG_END_TRY();
}

// --- Functions ---

struct Routine {
  Oid owner;
  bool is_native;
  bool is_immutable;
  bool is_definer;
  bool has_settings;
};

Routine read_routine(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for function %u", function);
  auto* form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
  const Routine routine{form->proowner, form->prolang == INTERNALlanguageId || form->prolang == ClanguageId,
                        form->provolatile == PROVOLATILE_IMMUTABLE, form->prosecdef,
                        !heap_attisnull(tuple, Anum_pg_proc_proconfig, nullptr)};
  ReleaseSysCache(tuple);
  return routine;
}

// Rule 3. An aggregate is native here: its functions are asked for one by one.
void refuse_unless_harmless(Oid function) {
  const Routine routine = read_routine(function);
  if (!is_trusted(routine.owner)) return;
  if (routine.is_native && routine.is_immutable) return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("function %s is not called with the rights of a superuser here", format_procedure(function)),
           errdetail("While a dump is restored, what is evaluated outside of the tables of superusers calls immutable "
                     "functions, or runs with the rights of an owner.")));
}

void on_access(ObjectAccessType access, Oid catalog, Oid object, int part, void* argument) {
  if (previous_access != nullptr) previous_access(access, catalog, object, part, argument);
  if (access != OAT_FUNCTION_EXECUTE || catalog != ProcedureRelationId) return;
  if (state.is_lifted || (state.is_lifted_in_restricted && InSecurityRestrictedOperation())) return;
  // A call of the protocol's own, as for large objects; a worker builds an index; a script is an extension's.
  if (debug_query_string == nullptr || IsParallelWorker() || creating_extension) return;
  if (is_trusted(GetUserId())) refuse_unless_harmless(object);
}

struct Call {
  State state;
  Oid user;
  int security;
  int settings_level;
  bool is_bound;
  Datum mark_of_previous_hook;
};

bool needs_attention(Oid function) {
  if (previous_needs != nullptr && previous_needs(function)) return true;
  const Routine routine = read_routine(function);
  return !routine.is_native || !is_trusted(routine.owner);
}

// Functions may still be everybody's to call: a dump brings what is revoked last.
void refuse_other_rights(Oid function, Oid user) {
  if (!OidIsValid(state.bound_to) || user == state.bound_to) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("function %s is not called with the rights of role \"%s\" here", format_procedure(function),
                         GetUserNameFromId(user, false)),
                  errdetail("It is SECURITY DEFINER, and a dump is being restored.")));
}

void begin_call(Oid function, Datum* mark) {
  Oid user = InvalidOid;
  int security = 0;
  GetUserIdAndSecContext(&user, &security);
  refuse_other_rights(function, user);
  const Routine routine = read_routine(function);
  const bool lends = is_trusted(user);
  const bool is_of_superuser = is_trusted(routine.owner);
  auto* call = static_cast<Call*>(MemoryContextAlloc(TopMemoryContext, sizeof(Call)));
  *call = {state, user, security, 0, false, PointerGetDatum(nullptr)};
  *mark = PointerGetDatum(call);
  state.copy_has_no_role_yet = false;
  if (lends && is_of_superuser) {
    state.is_lifted = true;
  } else if (lends || !InSecurityRestrictedOperation()) {
    state = {lends ? routine.owner : user, false, false, false};
    // When a call ends, the server has already taken back what it did for SET and SECURITY DEFINER of the function.
    call->settings_level = routine.has_settings ? 0 : NewGUCNestLevel();
    call->is_bound = !routine.is_definer;
    take_rights_of(state.bound_to);
  }
}

// After an error the server sets rights and settings back when the transaction ends, the inner one at least.
void end_call(Datum* mark, bool in_error) {
  auto* call = reinterpret_cast<Call*>(DatumGetPointer(*mark));
  if (call == nullptr) return;
  *mark = PointerGetDatum(nullptr);
  state = call->state;
  if (call->settings_level != 0 && !in_error) AtEOXact_GUC(false, call->settings_level);
  if (call->is_bound) SetUserIdAndSecContext(call->user, call->security);
  pfree(call);
}

void tell_previous_hook(FmgrHookEventType event, FmgrInfo* function, Datum mark) {
  if (previous_call == nullptr || mark == PointerGetDatum(nullptr)) return;
  previous_call(event, function, &reinterpret_cast<Call*>(DatumGetPointer(mark))->mark_of_previous_hook);
}

// The mark is kept between the events of one call; the server keeps one alone, for whoever hooks in.
void on_call(FmgrHookEventType event, FmgrInfo* function, Datum* mark) {
  if (event == FHET_START) begin_call(function->fn_oid, mark);
  tell_previous_hook(event, function, *mark);
  if (event != FHET_START) end_call(mark, event == FHET_ABORT);
}

}  // namespace

void bind() {
  if (is_bound) return;
  is_bound = true;
  previous_utility = ProcessUtility_hook;
  ProcessUtility_hook = on_utility;
  previous_start = ExecutorStart_hook;
  ExecutorStart_hook = on_start;
  previous_check = ExecutorCheckPerms_hook;
  ExecutorCheckPerms_hook = on_check_permissions;
  previous_access = object_access_hook;
  object_access_hook = on_access;
  previous_needs = needs_fmgr_hook;
  needs_fmgr_hook = needs_attention;
  previous_call = fmgr_hook;
  fmgr_hook = on_call;
}

}  // namespace claude_gpt::bridge::owners_code
