# check_subscription_limit.
measure_quota() {
    table "Microseconds of CPU of a call inside one backend, the loop's own taken off" "" source ours "times cheaper"
    in_abba_order $((passes * 2)) check_inside source ours
    table_row check_subscription_limit "$(figure source)" "$(figure ours)" "$(ratio source ours)"
    bar "check_subscription_limit inside a backend, times cheaper than the source's" "$(ratio_of source ours)" '>=' 2 times
    bar "check_subscription_limit inside a backend" "$(median_of ours)" '<=' 3 us

    local clients
    table "Calls a second over a unix socket, prepared" clients "no-op native function" "primary-key SELECT on users" source ours \
        "ours / source" "ours / primary-key SELECT"
    for clients in 1 8; do
        in_abba_order $((passes * 2)) check_over_socket no_op lookup source ours
        table_row "$clients" "$(figure no_op)" "$(figure lookup)" "$(figure source)" \
            "$(figure ours)" "$(ratio ours source)" "$(ratio ours lookup)"
        bar "check_subscription_limit over a socket, clients: $clients, of a primary-key SELECT" \
            "$(calculate "100 * $(ratio_of ours lookup)")" '>=' "$(if [ "$clients" = 8 ]; then echo 95; else echo 90; fi)" %
    done

    table "CPU of the backend for a call over a unix socket, microseconds, one client" "" "no-op native function" "primary-key SELECT on users" source ours \
        "ours / source" "ours / primary-key SELECT"
    in_abba_order "$passes" check_cpu no_op lookup source ours
    table_row "a call" "$(figure no_op)" "$(figure lookup)" "$(figure source)" "$(figure ours)" "$(ratio ours source)" "$(ratio ours lookup)"
}

check_inside() { us_per_call "$1" "check_subscription_limit(id)" 10; }

check_over_socket() { on_side_of "$1" tps "$clients"; }

check_cpu() { on_side_of "$1" cpu_of 20000; }

# on_side_of LABEL MEASURE ARGUMENT...
on_side_of() {
    case $1 in
        no_op) "$2" ours no_op "${@:3}" ;;
        lookup) "$2" ours primary_key_lookup "${@:3}" ;;
        *) "$2" "$1" check_subscription_limit "${@:3}" ;;
    esac
}
