# A chat turn: the source's statements, one transaction each side of the stream, and begin_turn + complete_turn.
measure_turns() {
    local side
    for side in $sides; do make_turn_script "$side" ''; make_turn_script "$side" '\sleep 1 ms'; done
    admit_everything
    measure_turns_by_clients
    measure_turns_over_a_network
    measure_admission
}

# A question of about 300 characters, a reply of about 1,200, both in the statement, so that none is looked up.
# DELAY stands after each statement.
make_turn_script() {
    local side=$1 delay=$2 file questions replies
    file=$(turn_script "$side" "$delay")
    questions=$(sql ours "SELECT quote_literal(array_agg(english)) FROM bench.texts WHERE number <= 32")
    replies=$(sql ours "SELECT quote_literal(array_agg(t)) FROM (SELECT string_agg(english, ' ') AS t FROM bench.texts
        WHERE number <= 128 GROUP BY number / 4 LIMIT 32) AS r")
    sed -e "s/QUESTION/(${questions//\//\\/}::text[])[:t]/" -e "s/REPLY/(${replies//\//\\/}::text[])[:t]/" \
        -e "/;\$\|\\\\gset\$/ s/\$/\\n${delay//\\/\\\\}/" "$bench/queries/turn_$side.sql" > "$file"
}

turn_script() { echo "$scratch/turn_$1${2:+_delayed}.sql"; }

measure_turns_by_clients() {
    local durable clients
    table "Whole turns a second over a unix socket" "synchronous_commit, clients" source ours ratio
    for durable in on off; do
        for clients in 1 8 32; do
            in_abba_order "$passes" turns_per_second source ours
            table_row "$durable, $clients" "$(figure source)" "$(figure ours)" "$(ratio ours source)"
            case "$durable $clients" in
                "off 8" | "off 32") bar "whole turns a second, synchronous_commit off, $clients clients, of the source's" "$(ratio_of ours source)" '>=' 3 times ;;
                "on 8" | "on 32") bar "whole turns a second, synchronous_commit on, $clients clients, of the source's" "$(ratio_of ours source)" '>=' 2 times ;;
            esac
        done
    done
}

turns_per_second() {
    vacuum_turns "$1"
    with_synchronous_commit "$durable" tps "$1" "$(turn_script "$1" '')" "$clients"
}

vacuum_turns() {
    sql "$1" "VACUUM users" "VACUUM conversations"
    if [ "$1" = ours ]; then sql ours "VACUUM usage_reservations"; fi
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
    local durable clients query
    table "Calls a second over a unix socket: a bare guarded UPDATE ... RETURNING of our users, and consume_quota without and with its usage record" \
        "synchronous_commit, clients" "bare UPDATE" "consume_quota, counters" "of the UPDATE" "consume_quota with record" "of the UPDATE"
    for durable in on off; do
        for clients in 1 8; do
            in_abba_order "$passes" admissions guarded_update counters record
            table_row "$durable, $clients" "$(figure guarded_update)" "$(figure counters)" "$(ratio counters guarded_update)" \
                "$(figure record)" "$(ratio record guarded_update)"
        done
    done
    bar "consume_quota with its usage record, 8 clients, synchronous_commit off, of a bare guarded UPDATE" \
        "$(calculate "100 * $(ratio_of record guarded_update)")" '>=' 80 %
}

admissions() {
    local query=consume_quota
    sql ours "VACUUM users"
    case $1 in
        guarded_update) query=guarded_update ;;
        counters) sql ours "UPDATE system_configs SET config_value = 'false' WHERE config_key = 'usage_ledger'" ;;
        record) sql ours "UPDATE system_configs SET config_value = 'true' WHERE config_key = 'usage_ledger'" ;;
    esac
    with_synchronous_commit "$durable" tps ours "$query" "$clients"
}
