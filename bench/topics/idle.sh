# What the workers cost a server on which nothing happens: three databases with the extension and the default jobs, long
# enough for the most frequent of them, every five minutes, to be looked at in each.
measure_idle() {
    local span=310 ticks wal number looks
    for number in 1 2 3; do
        sql postgres "DROP DATABASE IF EXISTS idle$number WITH (FORCE)" "CREATE DATABASE idle$number"
        sql idle$number "CREATE EXTENSION claude_gpt" "UPDATE claude_gpt_data.jobs SET next_run_at = clock_timestamp()" 2>/dev/null
    done
    for number in 1 2 3; do
        until [ "$(sql idle$number "SELECT count(*) FROM claude_gpt_data.job_status WHERE lateness > interval '0' OR last_outcome = 'running'")" = 0 ]; do sleep 1; done
    done
    sleep 20
    sql postgres CHECKPOINT
    sleep 20
    wal=$(sql postgres "SELECT pg_current_wal_insert_lsn()")
    ticks=$(cpu_ticks)
    looks=$(sql postgres "SELECT now()")
    sleep $span
    sample idle_cpu "$(calculate "100 * ($(cpu_ticks) - $ticks) / $(getconf CLK_TCK) / $span")"
    sample idle_wal "$(sql postgres "SELECT pg_current_wal_insert_lsn() - '$wal'")"
    looks=$(for number in 1 2 3; do sql idle$number "SELECT count(*) FROM claude_gpt_data.job_status WHERE last_looked_at > '$looks'"; done | awk '{ sum += $1 } END { print sum }')
    table "Idle server, three databases with the jobs of an install, $span s in which jobs were looked at $looks times" "" ours
    table_row "CPU of all server processes, percent of one core" "$(calculate "$(median_of idle_cpu)" %.3f)"
    table_row "WAL, bytes" "$(calculate "$(median_of idle_wal)" %d)"
    bar "idle: CPU" "$(median_of idle_cpu)" '<=' 0.1 %
    bar "idle: WAL" "$(median_of idle_wal)" '<=' 0 bytes
    [ "$looks" -ge 3 ] || failed_bar "idle: each database was looked at" yes no
    sql postgres "DROP DATABASE idle1" "DROP DATABASE idle2" "DROP DATABASE idle3"
}
