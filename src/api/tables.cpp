// The one list of the columns that the code reads, writes or compares, as the migrations make them: those of rows that
// store describes, and all others. A varchar stands here as the text that it is read as. Columns that no code uses are
// not here: they may become anything.
#include "api/tables.hpp"

#include "bridge/table_types.hpp"
#include "store/rows.hpp"

namespace claude_gpt::api {

using namespace bridge;

namespace {

constinit TableTypes tables[] = {
    {store::Users::k_name,
     store::Users::k_columns,
     {{"subscription_id", Type::text}, {"created_at", Type::timestamptz}}},
    {store::Conversations::k_name,
     store::Conversations::k_columns,
     {{"title", Type::text},
      {"summary", Type::text},
      {"is_archived", Type::boolean},
      {"is_pinned", Type::boolean},
      {"created_at", Type::timestamptz}}},
    {store::Messages::k_name, store::Messages::k_columns},
    {store::UsageRecords::k_name, store::UsageRecords::k_columns},
    {"usage_balances",
     {{"user_id", Type::uuid},
      {"usage_type", Type::text},
      {"billing_period", Type::date},
      {"quantity", Type::int8},
      {"cost", Type::numeric}}},
    {"message_feedback",
     {{"message_id", Type::uuid}, {"user_id", Type::uuid}, {"rating", Type::text}, {"comment", Type::text}}},
    {"subscription_history",
     {{"id", Type::uuid},
      {"user_id", Type::uuid},
      {"subscription_tier", Type::text},
      {"subscription_status", Type::text},
      {"stripe_subscription_id", Type::text},
      {"period_end", Type::timestamptz},
      {"event_type", Type::text},
      {"metadata", Type::jsonb},
      {"created_at", Type::timestamptz}}},
    {"system_configs",
     {{"id", Type::uuid},
      {"config_key", Type::text},
      {"config_value", Type::jsonb},
      {"is_active", Type::boolean},
      {"updated_at", Type::timestamptz}}},
    {"user_sessions",
     {{"device_type", Type::text},
      {"is_active", Type::boolean},
      {"expires_at", Type::timestamptz},
      {"last_used_at", Type::timestamptz}}},
    {"audit_logs", {{"id", Type::uuid}, {"created_at", Type::timestamptz}}},
    {store::UsageReservations::k_name, store::UsageReservations::k_columns},
    {"idempotency_keys",
     {{"user_id", Type::uuid},
      {"idempotency_key", Type::text},
      {"fingerprint", Type::text},
      {"created_at", Type::timestamptz},
      {"expires_at", Type::timestamptz},
      {"limit_name", Type::text},
      {"limit_value", Type::int8},
      {"used", Type::int8},
      {"held", Type::int8},
      {"remaining", Type::int8},
      {"resets_at", Type::timestamptz},
      {"reservation_id", Type::uuid},
      {"usage_record_id", Type::uuid}}},
    {"jobs",
     {{"name", Type::text},
      {"enabled", Type::boolean},
      {"run_every", Type::interval},
      {"timeout", Type::interval},
      {"next_run_at", Type::timestamptz},
      {"engine", Type::text},
      {"failures_in_a_row", Type::int4}}},
    {"job_runs",
     {{"id", Type::uuid},
      {"job_name", Type::text},
      {"engine", Type::text},
      {"started_at", Type::timestamptz},
      {"finished_at", Type::timestamptz},
      {"outcome", Type::text},
      {"row_count", Type::int8},
      {"progress", Type::text},
      {"sqlstate", Type::text},
      {"message", Type::text}}},
    {"application_grants", {{"role_name", Type::text}, {"level", Type::text}, {"granted_at", Type::timestamptz}}},
    {"claude_gpt_migrations", {{"id", Type::int4}, {"name", Type::text}, {"applied_at", Type::timestamptz}}},
};

}  // namespace

void declare_table_types() { bridge::declare_tables(tables); }

}  // namespace claude_gpt::api
