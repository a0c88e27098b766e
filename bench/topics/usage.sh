# update_user_usage: counters only, and with the usage records.
measure_usage() {
    measure_inside
    measure_wal_and_hot
    measure_throughput
}

keep_ledger() { sql ours "UPDATE system_configs SET config_value = '$1' WHERE config_key = 'usage_ledger'"; }

vacuum_users() { sql "$1" "VACUUM users"; }

measure_inside() {
    table "Microseconds of a call inside one backend, the loop's own cost taken off" "" source ours "times faster"
    keep_ledger false
    in_abba_order $((passes * 2)) update_inside source ours
    table_row "update_user_usage, counters only" "$(figure source)" "$(figure ours)" "$(ratio source ours)"
    bar "update_user_usage inside a backend, times the source's speed" "$(ratio_of source ours)" '>=' 4 times
    keep_ledger true
    in_abba_order "$passes" update_inside ours
    table_row "update_user_usage with its usage records" "" "$(figure ours)" ""
}

update_inside() {
    vacuum_users "$1"
    us_per_call "$1" "update_user_usage(id, 1, 80, 0.0016)" 4
}

# One client, each call its own transaction; users were active today before.
measure_wal_and_hot() {
    local calls side
    calls=$(scaled 20000)
    keep_ledger false
    for side in $sides; do
        vacuum_users "$side"
        run_clients "$side" update_user_usage 1 -t "$calls" >/dev/null  # pages fill up, as they are in use
        sample "hot_$side" "$(hot_share_of "$side" users wal_bytes_to_file "$side")"
        sample "wal_$side" "$(calculate "$(cat "$scratch/wal_bytes") / $calls")"
    done
    table "WAL and HOT a call, counters only, $calls calls for random users who were active today before; WAL with commit records, without full-page images" \
        "" source ours
    table_row "bytes of WAL" "$(figure wal_source)" "$(figure wal_ours)"
    table_row "HOT updates, %" "$(figure hot_source)" "$(figure hot_ours)"
    bar "update_user_usage, WAL a call (the source: $(figure wal_source))" "$(median_of wal_ours)" '<=' 300 bytes
    bar "update_user_usage, HOT after a user's first call of the day" "$(median_of hot_ours)" '>=' 95 %
}

wal_bytes_to_file() { wal_bytes_of run_clients "$1" update_user_usage 1 -t "$calls" > "$scratch/wal_bytes"; }

measure_throughput() {
    local durable who clients count
    table "update_user_usage, calls a second over a unix socket; the source's INSERT writes the same two usage records in one statement with the call" \
        "synchronous_commit, user, clients" "source" "ours, counters only" ratio "source + INSERT" "ours with records" ratio
    for durable in on off; do
        for who in random hot; do
            for clients in 1 8 32; do
                count=$passes
                if is_barred; then count=$((passes * 2)); fi
                keep_ledger false
                in_abba_order "$count" update_over_socket source ours
                keep_ledger true
                in_abba_order "$count" update_over_socket source_recorded ours_recorded
                table_row "$durable, $who, $clients" "$(figure source)" "$(figure ours)" "$(ratio ours source)" \
                    "$(figure source_recorded)" "$(figure ours_recorded)" "$(ratio ours_recorded source_recorded)"
                if is_barred; then throughput_bars; fi
            done
        done
    done
    durable=off who=random clients=8
    in_abba_order "$passes" update_over_socket source_in_transaction ours_recorded
    table_row "off, random, 8; source: BEGIN, call, INSERT, COMMIT" "" "" "" "$(figure source_in_transaction)" \
        "$(figure ours_recorded)" "$(ratio ours_recorded source_in_transaction)"
}

is_barred() { [ "$durable $who $clients" = "off random 8" ]; }

throughput_bars() {
    bar "update_user_usage, calls a second, 8 clients, synchronous_commit off, of the source's" "$(ratio_of ours source)" '>=' 1.5 times
    bar "update_user_usage with usage records, 8 clients, synchronous_commit off, of the source's plus INSERT" \
        "$(ratio_of ours_recorded source_recorded)" '>' 1 times
}

update_over_socket() {
    local side=${1%%_*} query=update_user_usage
    case $1 in
        source_recorded) query=update_user_usage_and_insert ;;
        source_in_transaction) query=update_user_usage_then_insert ;;
    esac
    vacuum_users "$side"
    with_synchronous_commit "$durable" tps "$side" "$query" "$clients" -D users="$(if [ "$who" = hot ]; then echo 1; else echo "$users"; fi)"
}
