# What monitoring costs: health() and metrics() over all rows, and counting on the hot paths.
measure_monitoring() {
    table "Milliseconds of a call, $(sql ours "SELECT reltuples::bigint FROM pg_class WHERE oid = 'messages'::regclass") messages" "" "first of a session" later
    in_abba_order "$passes" call_monitoring health_first health metrics_first metrics
    table_row "health()" "$(figure health_first)" "$(figure health)"
    table_row "metrics()" "$(figure metrics_first)" "$(figure metrics)"
    bar "health(), first call of a session" "$(median_of health_first)" '<=' 50 ms
    bar "metrics(), first call of a session" "$(median_of metrics_first)" '<=' 100 ms
    measure_counting
}

call_monitoring() {
    local name=${1%_first} warm_up=()
    if [ "$name" = "$1" ]; then warm_up=("SELECT count(*) FROM $name()"); fi
    milliseconds ours "${warm_up[@]}" '\timing on' "SELECT count(*) FROM $name()"
}

# A server that does not preload the library counts nothing, and is the same in all else.
measure_counting() {
    table "Microseconds of CPU of a call inside one backend, with and without counting (the library not preloaded), the loop's own taken off" \
        "" "not counted" counted "cost of counting, %"
    local call
    for call in check_subscription_limit update_user_usage; do
        in_abba_order $((passes * 4)) call_counted not_counted counted
        table_row "$call" "$(figure not_counted)" "$(figure counted)" "$(shown "$(calculate "100 * ($(ratio_of counted not_counted) - 1)")")"
        bar "counting, of $call" "$(calculate "100 * ($(ratio_of counted not_counted) - 1)")" '<=' 1 %
    done
    restart_server
}

call_counted() {
    if [ "$1" = counted ]; then restart_server; else restart_server "shared_preload_libraries = ''"; fi
    if [ $call = check_subscription_limit ]; then
        us_per_call ours "check_subscription_limit(id)" 10
    else
        sql ours "UPDATE system_configs SET config_value = 'false' WHERE config_key = 'usage_ledger'" "VACUUM users"
        us_per_call ours "update_user_usage(id, 1, 80, 0.0016)" 4
    fi
}
