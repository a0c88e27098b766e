# rate_limit beside a native function that only returns the same row, and check_rate_limit beside check_subscription_limit.
measure_rate_limits() {
    install_same_row
    measure_rates_inside
    measure_rates_over_socket
}

install_same_row() {
    install_native ours same_row "same_row(text, integer, interval, OUT allowed boolean, OUT limit_value integer, OUT remaining integer,
        OUT retry_after_seconds integer, OUT reset_after_seconds integer, OUT reason text, OUT error_code text, OUT http_status integer)"
    admit_everything
}

measure_rates_inside() {
    table "Microseconds of CPU of a call inside one backend, the loop's own taken off" "" "a native function that returns the same row" "rate_limit, one key" "rate_limit, many keys" \
        "check_subscription_limit" "check_rate_limit" "check_subscription_limit / check_rate_limit"
    in_abba_order $((passes * 2)) rate_inside same_row one_key many_keys check_limit check_rate
    table_row "a call" "$(figure same_row)" "$(figure one_key)" "$(figure many_keys)" "$(figure check_limit)" "$(figure check_rate)" "$(ratio check_limit check_rate)"
    bar "rate_limit inside a backend" "$(median_of one_key)" '<=' 1 us
    bar "check_rate_limit inside a backend, of the speed of check_subscription_limit" "$(calculate "100 * $(ratio_of check_limit check_rate)")" '>=' 80 %
}

rate_inside() {
    case $1 in
        same_row) us_per_call ours "bench.same_row('login', 1000000, '1 minute')" 10 ;;
        one_key) us_per_call ours "rate_limit('login', 1000000, '1 minute')" 10 ;;
        many_keys) us_per_call ours "rate_limit(id::text, 1000000, '1 minute')" 10 ;;
        check_limit) us_per_call ours "check_subscription_limit(id)" 10 ;;
        check_rate) us_per_call ours "check_rate_limit(id)" 10 ;;
    esac
}

measure_rates_over_socket() {
    local clients
    table "Calls a second over a unix socket, prepared" clients "a native function that returns the same row" "rate_limit, a key for each client" "rate_limit, all one key" \
        "own keys / native" "one key / native" "check_subscription_limit" "check_rate_limit" ratio
    for clients in 1 8 32; do
        in_abba_order "$passes" rate_over_socket same_row own_key one_key check_limit check_rate
        table_row "$clients" "$(figure same_row)" "$(figure own_key)" "$(figure one_key)" "$(ratio own_key same_row)" "$(ratio one_key same_row)" \
            "$(figure check_limit)" "$(figure check_rate)" "$(ratio check_rate check_limit)"
        if [ "$clients" = 1 ]; then continue; fi
        bar "rate_limit over a socket, $clients clients, of a native function that returns the same row" "$(calculate "100 * $(ratio_of own_key same_row)")" '>=' 80 %
        bar "rate_limit, $clients clients on one key, of each on its own" "$(calculate "100 * $(ratio_of one_key own_key)")" '>=' 95 %
        bar "check_rate_limit over a socket, $clients clients, of check_subscription_limit" "$(calculate "100 * $(ratio_of check_rate check_limit)")" '>=' 80 %
    done
}

rate_over_socket() {
    case $1 in
        same_row) tps ours same_row "$clients" ;;
        own_key) tps ours rate_limit_own_key "$clients" ;;
        one_key) tps ours rate_limit_one_key "$clients" ;;
        check_limit) tps ours check_subscription_limit "$clients" ;;
        check_rate) tps ours check_rate_limit "$clients" ;;
    esac
}
