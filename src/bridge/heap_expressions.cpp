#include "bridge/heap_expressions.hpp"

#include "bridge/owners_rights.hpp"

extern "C" {
#include <access/transam.h>
#include <catalog/pg_proc.h>
#include <executor/executor.h>
#include <nodes/nodeFuncs.h>
#include <optimizer/optimizer.h>
#include <rewrite/rewriteHandler.h>
#include <utils/fmgroids.h>
}

namespace claude_gpt::bridge {

namespace {

bool is_foreign_function(Oid function, void*) { return !is_of_the_server(function); }

bool is_changing_function(Oid function, void*) {
  return function != F_NOW && func_volatile(function) != PROVOLATILE_IMMUTABLE;
}

// CURRENT_TIMESTAMP and current_user are no functions here, and stay the same within a statement.
bool depends_on_more_than_time(Node* node, void* context) {
  if (node == nullptr) return false;
  if (IsA(node, NextValueExpr) || check_functions_in_node(node, &is_changing_function, context)) return true;
  return compat::walk_expression(node, &depends_on_more_than_time, context);
}

}  // namespace

bool is_of_the_server(Oid object) { return object < FirstUnpinnedObjectId; }

// Whether an expression runs anything but the server's own functions.
bool is_foreign(Node* node, void* context) {
  if (node == nullptr) return false;
  if (IsA(node, List)) return compat::walk_expression(node, &is_foreign, context);
  if (!is_of_the_server(exprType(node)) || check_functions_in_node(node, &is_foreign_function, context)) return true;
  return compat::walk_expression(node, &is_foreign, context);
}

bool is_written_attribute(HeapRelation* known, const HeapDescription& description, AttrNumber attribute) {
  for (std::size_t column = 0; column < description.columns.size(); ++column)
    if (description.writes(column) && known->attributes[column] == attribute) return true;
  return false;
}

// A default that runs nothing but the server's own functions, and always with the same effect: nullptr if it is
// another. Of functions that are not immutable the clock alone: table_to_xml() would run a view's.
Node* find_plain_default(Relation relation, AttrNumber attribute) {
  Node* expression = build_column_default(relation, attribute);
  return expression == nullptr || is_foreign(expression, nullptr) || depends_on_more_than_time(expression, nullptr)
             ? nullptr
             : expression;
}

// With the owner's rights, as by SPI.
void prepare_defaults(Relation relation, HeapRelation* known, const HeapDescription& description) {
  const TupleDesc columns = RelationGetDescr(relation);
  known->defaults = static_cast<ExprState**>(palloc0(static_cast<std::size_t>(columns->natts) * sizeof(ExprState*)));
  const OwnersRights rights{relation};
  for (int i = 0; i < columns->natts; ++i) {
    const Form_pg_attribute attribute = TupleDescAttr(columns, i);
    if (attribute->attisdropped || !attribute->atthasdef || is_written_attribute(known, description, attribute->attnum))
      continue;
    Node* expression = find_plain_default(relation, attribute->attnum);
    known->defaults[i] = ExecInitExpr(expression_planner(reinterpret_cast<Expr*>(expression)), nullptr);
  }
  rights.give_back();
}

}  // namespace claude_gpt::bridge
