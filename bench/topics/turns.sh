# A chat turn: the source's statements, one transaction each side of the stream, and begin_turn + complete_turn.
measure_turns() {
    local side
    for side in $sides; do make_turn_script "$side" ''; make_turn_script "$side" '\sleep 1 ms'; done
    admit_everything
    measure_turn_cpu
    measure_turn_wal
    measure_turns_by_clients
    measure_turns_over_a_network
    measure_admission
}

measure_turn_cpu() {
    table "CPU of the backend for a whole turn, microseconds, one client, synchronous_commit off" "" source ours "times cheaper"
    in_abba_order $((passes * 2)) turn_cpu source ours
    table_row "a turn" "$(figure source)" "$(figure ours)" "$(ratio source ours)"
    bar "a whole turn, CPU of the backend, one client, times cheaper than the source's" "$(ratio_of source ours)" '>=' 3 times
}

turn_cpu() {
    vacuum_turns "$1"
    cpu_of "$1" "$(turn_script "$1" '')" 1000
}

measure_turn_wal() {
    local side turns=1000
    for side in $sides; do
        vacuum_turns "$side"
        run_turns "$side" >/dev/null  # pages fill up, as they are in use
        sample "wal_$side" "$(calculate "$(wal_bytes_of run_turns "$side") / $turns")"
    done
    table "WAL of a whole turn, $turns turns of one client; with commit records, without full-page images" "" source ours
    table_row "bytes of WAL" "$(figure wal_source)" "$(figure wal_ours)"
    bar "a whole turn, WAL (the source: $(figure wal_source))" "$(median_of wal_ours)" '<=' 6000 bytes
}

run_turns() { run_clients "$1" "$(turn_script "$1" '')" 1 -t "$turns"; }

measure_turns_by_clients() {
    local durable clients
    table "Whole turns a second over a unix socket" "synchronous_commit, clients" source ours ratio
    for durable in on off; do
        for clients in 1 8 32; do
            in_abba_order "$passes" turns_per_second source ours
            table_row "$durable, $clients" "$(figure source)" "$(figure ours)" "$(ratio ours source)"
            case "$durable $clients" in
                "off 8" | "off 32") turns_bar 3.5 ;;
                "on 8") turns_bar 1.7 ;;
                "on 32") turns_bar 2.5 ;;
            esac
        done
    done
}

turns_bar() {
    bar "whole turns a second, synchronous_commit $durable, $clients clients, of the source's" "$(ratio_of ours source)" '>=' "$1" times
}

turns_per_second() {
    vacuum_turns "$1"
    with_synchronous_commit "$durable" tps "$1" "$(turn_script "$1" '')" "$clients"
}

measure_turns_over_a_network() {
    table "Whole turns a second, one client, 1 ms more for each round trip, synchronous_commit off" "" source ours ratio
    in_abba_order "$passes" delayed_turns source ours
    table_row "turns a second" "$(figure source)" "$(figure ours)" "$(ratio ours source)"
    bar "whole turns a second, one client, 1 ms a round trip, of the source's" "$(ratio_of ours source)" '>=' 3 times
}

delayed_turns() {
    vacuum_turns "$1"
    with_synchronous_commit off tps "$1" "$(turn_script "$1" delayed)" 1
}

# consume_quota beside the least that a guarded counter can cost: one UPDATE of the same row.
measure_admission() {
    local durable clients
    table "Calls a second over a unix socket: a bare guarded UPDATE ... RETURNING of our users, and consume_quota without and with its usage record" \
        "synchronous_commit, clients" "bare UPDATE" "consume_quota, counters" "of the UPDATE" "consume_quota with record" "of the UPDATE"
    for durable in on off; do
        for clients in 1 8; do
            in_abba_order "$passes" admissions guarded_update counters record
            admission_row "$durable, $clients"
        done
    done
    bar "consume_quota with its usage record, 8 clients, synchronous_commit off, of a bare guarded UPDATE" \
        "$(calculate "100 * $(ratio_of record guarded_update)")" '>=' 80 %
    table "The same, CPU of the backend for a call, microseconds, one client, synchronous_commit off" \
        "" "bare UPDATE" "consume_quota, counters" "of the UPDATE" "consume_quota with record" "of the UPDATE"
    in_abba_order "$passes" admission_cpu guarded_update counters record
    admission_row "a call"
    keep_ledger true
}

admission_row() {
    table_row "$1" "$(figure guarded_update)" "$(figure counters)" "$(ratio counters guarded_update)" \
        "$(figure record)" "$(ratio record guarded_update)"
}

admissions() {
    prepare_admission "$1"
    with_synchronous_commit "$durable" tps ours "$(admission_script "$1")" "$clients"
}

admission_cpu() {
    prepare_admission "$1"
    cpu_of ours "$(admission_script "$1")" 4000
}
