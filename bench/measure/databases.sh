# The two databases: "source" has the source design's schema in public, "ours" the extension.

users=$(scaled 100000)
sides="source ours"

load_databases() {
    local side
    echo "== loading $users users into both databases"
    sql postgres "CREATE EXTENSION IF NOT EXISTS pg_walinspect"
    for side in $sides; do make_database "$side" & done
    wait_for_all
    for side in $sides; do install_meter "$side"; done
}

wait_for_all() {
    local job status=0
    for job in $(jobs -p); do wait "$job" || status=1; done
    return $status
}

# What a database was made from stands in its comment: one of an earlier run is used again if that is equal.
make_database() {
    local side=$1 origin
    origin="scale $scale, $(cat "$checkout"/test/source/schema.sql "$checkout"/sql/*.sql "$checkout"/sql/*/*.sql "$bench"/data/*.sql | md5sum)"
    if [ "$(sql postgres "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '$side'")" = "$origin" ]; then
        echo "$side: as an earlier run left it"
        return
    fi
    sql postgres "DROP DATABASE IF EXISTS $side WITH (FORCE)" "CREATE DATABASE $side"
    case $side in
        source) sql source "\\i $checkout/test/source/schema.sql" ;;
        # Jobs have a topic of their own, and disturb no other.
        ours) sql ours "ALTER DATABASE ours SET claude_gpt.jobs = off" "CREATE EXTENSION claude_gpt" "ALTER DATABASE ours SET search_path = claude_gpt_data, claude_gpt, public" ;;
    esac
    run_file "$side" texts
    run_file "$side" load
    run_file "$side" callers
    sql "$side" "VACUUM ANALYZE" "COMMENT ON DATABASE $side IS '$origin'"
    echo "$side: loaded, $(sql "$side" "SELECT pg_size_pretty(pg_database_size('$side'))")"
}

# Where the tables are.
schema_of() { if [ "$1" = ours ]; then echo claude_gpt_data; else echo public; fi; }

# run_file SIDE NAME: a file of data/.
run_file() {
    local is_ours=false
    if [ "$1" = ours ]; then is_ours=true; fi
    psql -Xq -v ON_ERROR_STOP=1 -d "$1" -v schema="$(schema_of "$1")" -v is_ours=$is_ours -v users="$users" \
        -v sessions="$(scaled 1200000)" -f "$bench/data/$2.sql" >/dev/null
}

# Limits that nobody reaches, so that every turn is whole.
admit_everything() {
    local side
    for side in $sides; do
        sql "$side" "UPDATE system_configs SET config_value = '{\"free\": {\"messagesPerMonth\": 100000000, \"models\": [\"gpt-4\"]},
            \"base\": {\"messagesPerMonth\": 100000000, \"models\": [\"gpt-4\"]}, \"pro\": {\"messagesPerMonth\": -1, \"models\": [\"gpt-4\"]}}'
            WHERE config_key = 'subscription_plans'" \
            "UPDATE system_configs SET config_value = '{\"gpt-4\": {\"prompt\": 30, \"completion\": 60}}' WHERE config_key = 'model_prices'" \
            "UPDATE system_configs SET config_value = '{\"free\": 1000000, \"base\": 1000000, \"pro\": 1000000}' WHERE config_key = 'rate_limits'"
    done
}

# keep_ledger true|false: whether ours writes usage records.
keep_ledger() { sql ours "UPDATE system_configs SET config_value = '$1' WHERE config_key = 'usage_ledger'"; }

# What whole turns update.
vacuum_turns() {
    sql "$1" "VACUUM users" "VACUUM conversations"
    if [ "$1" = ours ]; then sql ours "VACUUM usage_reservations"; fi
}
