# cleanup_expired_sessions on a backlog.
measure_sessions() {
    local side live backlog
    live=$(($(scaled 1200000) / 6))
    for side in $sides; do run_file "$side" sessions & done
    wait_for_all
    in_abba_order 2 longest_wait idle_source idle_ours
    in_abba_order 4 cleanup_seconds source ours
    # The waits were measured along with the times, in the same order.
    backlog=$(sql ours "SELECT count(*) FROM user_sessions WHERE expires_at < now() OR NOT is_active")
    table "cleanup_expired_sessions, $(shown "$backlog") of $(shown $((live * 6))) sessions to delete, while an application updates 200 live ones a second" \
        "" source ours "times faster"
    table_row "seconds" "$(figure source)" "$(figure ours)" "$(ratio source ours)"
    table_row "longest an update of a live session took, ms (median of four cleanups)" "$(figure wait_source)" "$(figure wait_ours)" ""
    table_row "the same with no cleanup, ms" "$(figure idle_source)" "$(figure idle_ours)" ""
}

# Rolled back, so that the backlog is there again; it holds its locks as long as a committed one.
cleanup_seconds() {
    local side=$1 cleanup
    sql "$side" BEGIN '\timing on' "SELECT cleanup_expired_sessions()" '\timing off' ROLLBACK > "$scratch/cleanup" &
    cleanup=$!
    local longest=0
    while kill -0 $cleanup 2>/dev/null; do
        longest=$(printf '%s\n' "$longest" "$(longest_wait "$side")" | sort -g | tail -n 1)
    done
    wait $cleanup
    echo "$longest" >> "$samples/wait_$side"
    calculate "$(sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' "$scratch/cleanup") / 1000"
}

# Milliseconds, over one second; from the moment the application wanted the update.
longest_wait() {
    rm -f "$scratch"/wait.log.*
    with_synchronous_commit off run_clients "${1#idle_}" use_live_session 2 -D live="$live" --rate=200 -T 1 \
        -l --log-prefix="$scratch/wait.log" >/dev/null
    cat "$scratch"/wait.log.* | awk '$3 > longest { longest = $3 } END { print longest / 1000 }'
}
