#include "store/migrations.hpp"

#include <iterator>
#include <string_view>

namespace claude_gpt::store {

using namespace bridge;

namespace {

// k_migrations, k_attach_script and what takes over tables of 0.4.0, generated from sql/migrations, sql/attach.sql and
// sql/from_0.4.0.
#include "store/migrations.inc"

constexpr char k_create_schemas[] = R"sql(
    DO $$
    BEGIN
        IF pg_catalog.to_regnamespace('claude_gpt_data') IS NULL THEN
            CREATE SCHEMA claude_gpt_data;
        END IF;
        IF pg_catalog.to_regnamespace('claude_gpt_partitions') IS NULL THEN
            EXECUTE pg_catalog.format('CREATE SCHEMA claude_gpt_partitions AUTHORIZATION %s',
                (SELECT n.nspowner::pg_catalog.regrole FROM pg_catalog.pg_namespace AS n
                 WHERE n.nspname OPERATOR(pg_catalog.=) 'claude_gpt_data'));
        END IF;
    END
    $$
    )sql";

constexpr char k_create_record[] = R"sql(
    CREATE TABLE claude_gpt_data.claude_gpt_migrations (
    id integer CONSTRAINT claude_gpt_migrations_pkey PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp())
    )sql";

constinit Query<std::optional<std::int32_t>()> k_latest_applied{"claude_gpt_migrations", R"sql(
    SELECT pg_catalog.max(m.id) FROM claude_gpt_data.claude_gpt_migrations AS m
    )sql"};

constinit Query<std::int32_t(std::int32_t)> k_is_applied{"claude_gpt_migrations", R"sql(
    SELECT 1 FROM claude_gpt_data.claude_gpt_migrations AS m WHERE m.id OPERATOR(pg_catalog.=) $1
    )sql"};

constinit Query<void(std::int32_t, std::string_view)> k_record_applied{"claude_gpt_migrations", R"sql(
    INSERT INTO claude_gpt_data.claude_gpt_migrations (id, name) VALUES ($1, $2)
    )sql"};

constinit Query<void()> k_give_rights_to_owner{nullptr, R"sql(
    SELECT claude_gpt.set_owner(n.nspowner::pg_catalog.regrole) FROM pg_catalog.pg_namespace AS n
    WHERE n.nspname OPERATOR(pg_catalog.=) 'claude_gpt_data'
    )sql"};

constinit Query<void()> k_lock_own_relations{nullptr, R"sql(SELECT claude_gpt_internal.lock_own_relations())sql"};

constinit Query<void()> k_require_own_code{nullptr, R"sql(SELECT claude_gpt_internal.require_own_code())sql"};

constinit Query<std::int32_t()> k_update_is_pending{nullptr, R"sql(
    SELECT 1 FROM pg_catalog.pg_available_extensions AS a WHERE a.name OPERATOR(pg_catalog.=) 'claude_gpt'
    AND a.installed_version OPERATOR(pg_catalog.<>) a.default_version
    )sql"};

constinit Query<std::int32_t()> k_tables_are_restored{nullptr, R"sql(
    SELECT 1 FROM pg_catalog.pg_trigger AS g
    JOIN pg_catalog.pg_constraint AS k
    ON k.conrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('claude_gpt_data.job_runs')
    AND k.contype OPERATOR(pg_catalog.=) 'f'
    WHERE g.tgrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('claude_gpt_data.jobs')
    AND g.tgname OPERATOR(pg_catalog.=) 'look_at_changed_jobs' AND g.tgenabled OPERATOR(pg_catalog.<>) 'D'
    AND NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_stat_activity AS a
        WHERE a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
        AND a.application_name OPERATOR(pg_catalog.=) 'pg_restore')
    )sql"};

constinit Query<std::int64_t()> k_owner_of_old_tables{nullptr, R"sql(
    SELECT c.relowner::pg_catalog.int8 FROM pg_catalog.pg_class AS c
    WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('claude_gpt.claude_gpt_migrations')
    )sql"};

constinit Query<std::optional<std::int32_t>()> k_latest_of_old_tables{nullptr, R"sql(
    SELECT pg_catalog.max(m.id) FROM claude_gpt.claude_gpt_migrations AS m
    )sql"};

struct FoundDependent {
  std::int64_t owner;
  std::optional<std::int32_t> depth;  // the order in which they are made
  std::string_view taking;
  std::optional<std::string_view> making;
};
constinit Query<FoundDependent()> k_dependents{nullptr, k_dependents_script};

void record_applied(Spi& spi, const Migration& migration) {
  spi.execute(k_record_applied, Access::read_write, migration.id, migration.name);
}

}  // namespace

std::span<const Migration> migrations() { return k_migrations; }

std::int32_t latest_migration() { return k_migrations[std::size(k_migrations) - 1].id; }

const char* release() { return k_release; }

std::int32_t latest_applied(Spi& spi) { return spi.execute(k_latest_applied, Access::latest).first().value_or(0); }

bool is_applied(Spi& spi, const Migration& migration) {
  return !spi.execute(k_is_applied, Access::read_write, migration.id).empty();
}

void apply(Spi& spi, const Migration& migration) {
  spi.run_script(migration.sql);
  record_applied(spi, migration);
}

void create_schemas(Spi& spi) { spi.run_script(k_create_schemas); }

void create_record_of_migrations(Spi& spi) { spi.run_script(k_create_record); }

void attach(Spi& spi) { spi.run_script(k_attach_script); }

void lock_own_relations(Spi& spi) { spi.execute(k_lock_own_relations, Access::latest); }

void require_own_code(Spi& spi) { spi.execute(k_require_own_code, Access::latest); }

void give_rights_to_owner(Spi& spi) { spi.execute(k_give_rights_to_owner, Access::read_write); }

bool update_is_pending(Spi& spi) { return !spi.execute(k_update_is_pending, Access::latest).empty(); }

bool tables_are_restored(Spi& spi) { return !spi.execute(k_tables_are_restored, Access::read_write).empty(); }

RoleId find_owner_of_old_tables(Spi& spi) {
  return static_cast<RoleId>(spi.execute(k_owner_of_old_tables, Access::read_write).find().value_or(0));
}

std::int32_t latest_applied_to_old_tables(Spi& spi) {
  return spi.execute(k_latest_of_old_tables, Access::read_write).first().value_or(0);
}

std::vector<Dependent> find_dependents(Spi& spi) {
  std::vector<Dependent> dependents;
  for (const FoundDependent& found : spi.execute(k_dependents, Access::read_write))
    dependents.push_back(
        {static_cast<RoleId>(found.owner), std::string(found.taking), std::string(found.making.value_or(""))});
  return dependents;
}

void take_over_old_tables(Spi& spi) { spi.run_script(k_take_over_script); }

void convert_old_tables(Spi& spi) {
  spi.run_script(k_convert_script);
  spi.run_script(k_baseline_views);
  for (const Migration& migration : k_migrations)
    if (migration.id <= k_baseline) record_applied(spi, migration);
}

}  // namespace claude_gpt::store
