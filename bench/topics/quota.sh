# check_subscription_limit.
measure_quota() {
    table "Microseconds of a call inside one backend, the loop's own cost taken off" "" source ours "times faster"
    in_abba_order $((passes * 2)) check_inside source ours
    table_row check_subscription_limit "$(figure source)" "$(figure ours)" "$(ratio source ours)"
    bar "check_subscription_limit inside a backend, times the source's speed" "$(ratio_of source ours)" '>=' 2 times
    bar "check_subscription_limit inside a backend" "$(median_of ours)" '<=' 3 us

    local clients
    table "Calls a second over a unix socket, prepared" clients "no-op native function" "primary-key SELECT on users" source ours \
        "ours / source" "ours / primary-key SELECT"
    for clients in 1 8; do
        in_abba_order $((passes * 2)) check_over_socket no_op lookup source ours
        table_row "$clients" "$(figure no_op)" "$(figure lookup)" "$(figure source)" \
            "$(figure ours)" "$(ratio ours source)" "$(ratio ours lookup)"
        bar "check_subscription_limit over a socket, clients: $clients, of a primary-key SELECT" \
            "$(calculate "100 * $(ratio_of ours lookup)")" '>=' 90 %
    done
}

check_inside() { us_per_call "$1" "check_subscription_limit(id)" 10; }

check_over_socket() {
    case $1 in
        no_op) tps ours no_op "$clients" ;;
        lookup) tps ours primary_key_lookup "$clients" ;;
        *) tps "$1" check_subscription_limit "$clients" ;;
    esac
}
