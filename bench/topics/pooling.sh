# The API directly and through PgBouncer as it is shipped, in transaction mode: nine calls of a chat application's day.
measure_pooling() {
    local durable clients pooler
    pooler=$(PATH=$PATH:/usr/sbin command -v pgbouncer) ||
        { echo "bench: PgBouncer is not installed (tools/install-packages pool)" >&2; return 1; }
    admit_everything
    start_pooler
    table "Calls of the API a second, pgbench over unix sockets; PgBouncer $("$pooler" --version | sed -n 's/^PgBouncer //p'), 20 connections of the server" \
        "synchronous_commit, clients" "direct, prepared" "direct" "through PgBouncer" "of direct, %"
    for durable in on off; do
        for clients in 8 32; do
            in_abba_order "$passes" call_api prepared direct pooled
            table_row "$durable, $clients" "$(figure prepared)" "$(figure direct)" "$(figure pooled)" "$(shown "$(calculate "100 * $(ratio_of pooled direct)")")"
            bar "the whole API through PgBouncer, synchronous_commit $durable, clients: $clients, of direct" \
                "$(calculate "100 * $(ratio_of pooled direct)")" '>=' 80 %
        done
    done
    stop_pooling
}

call_api() {
    local way=$1 host=$PGHOST protocol=extended
    case $way in
        prepared) protocol=prepared ;;
        pooled) host=$pooler_directory ;;
    esac
    sql ours "VACUUM users, conversations"
    sql ours "ALTER DATABASE ours SET synchronous_commit = $durable"
    calculate "9 * $(PGHOST=$host tps ours api "$clients" -M $protocol)"
}

# The last value of a setting counts.
start_pooler() {
    pooler_directory=$scratch/pooler
    rm -rf "$pooler_directory"
    "$tools/private-server" run "$scratch/server" mkdir -p "$scratch/server/pooler"
    pooler_directory=$scratch/server/pooler
    sed -E "s#^\* = .*#* = host=$PGHOST port=$PGPORT user=postgres#; /^(auth_|logfile|pidfile|listen_addr)/d" "$checkout/packaging/pgbouncer/pgbouncer.ini" > "$scratch/pgbouncer.ini"
    printf '%s\n' "listen_addr =" "listen_port = $PGPORT" "unix_socket_dir = $pooler_directory" "auth_type = any" \
        "logfile = $pooler_directory/log" "pidfile = $pooler_directory/pid" >> "$scratch/pgbouncer.ini"
    "$tools/private-server" run "$scratch/server" "$pooler" -q -d "$scratch/pgbouncer.ini"
}

stop_pooling() {
    [ -n "${pooler_directory:-}" ] || return 0
    "$tools/private-server" run "$scratch/server" sh -c 'test ! -e "$0" || kill "$(cat "$0")"' "$pooler_directory/pid"
}
