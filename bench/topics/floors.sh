# Floors: what no function can go below.
measure_floors() {
    local query side clients
    table "Transactions a second over a unix socket, synchronous_commit off" query clients "source's table" "our table" ratio
    for query in no_op primary_key_lookup bare_update; do
        for clients in 1 8; do
            sql source "VACUUM users"; sql ours "VACUUM users"
            in_abba_order "$passes" floor source ours
            table_row "${query//_/ }" "$clients" "$(figure source)" "$(figure ours)" "$(ratio ours source)"
        done
    done
}

floor() { with_synchronous_commit off tps "$1" "$query" "$clients"; }
