# The jobs: what they cost the applications, and how they compare with the source's statements.
measure_jobs() {
    local job_users=$(scaled 1000000) job_sessions=$(scaled 1200000) audit_rows=$(($(scaled 1000000) * 6))
    make_job_database
    measure_audit_prune
    measure_job_under_load monthly_reset "monthly_reset of $(shown "$job_users") users"
    run_job_file sessions
    measure_job_under_load session_cleanup "session_cleanup of $(shown "$(expired_sessions)") of $(shown "$job_sessions") sessions"
}

make_job_database() {
    sql postgres "CREATE EXTENSION IF NOT EXISTS pg_walinspect" "DROP DATABASE IF EXISTS jobs WITH (FORCE)" "DROP DATABASE IF EXISTS jobs_source WITH (FORCE)" \
        "CREATE DATABASE jobs" "CREATE DATABASE jobs_source" "ALTER DATABASE jobs SET claude_gpt.jobs = off"
    sql jobs_source "\\i $checkout/test/source/schema.sql"
    sql jobs "CREATE EXTENSION claude_gpt" "ALTER DATABASE jobs SET search_path = claude_gpt_data, claude_gpt, public" \
        "UPDATE claude_gpt_data.jobs SET enabled = false"
    run_job_file job_rows
}

run_job_file() {
    psql -Xq -v ON_ERROR_STOP=1 -d "${2:-jobs}" -v schema="${3:-claude_gpt_data}" -v users="$job_users" -v sessions="$job_sessions" -v rows="$audit_rows" \
        -f "$bench/data/$1.sql" >/dev/null
}

# Once: the rows are gone afterwards. The bar is without rests, as the source's statements take none; a second time with
# those that a job takes by default.
measure_audit_prune() {
    run_job_file audit_logs jobs_source public
    sql jobs_source "VACUUM ANALYZE audit_logs"
    load_audit_logs
    local before_source before_ours after_ours
    before_source=$(audit_megabytes jobs_source public)
    before_ours=$(audit_megabytes jobs claude_gpt)
    sample prune_wal_source "$(calculate "$(wal_bytes_of prune_source) / 1048576")"
    # What the source's side left to be written is not ours to write.
    sql postgres CHECKPOINT
    sample prune_wal_ours "$(calculate "$(wal_bytes_of prune_ours 100 prune_ours) / 1048576")"
    after_ours=$(audit_megabytes jobs claude_gpt)
    no_older_audit_log_is_left
    table "Audit rows older than 30 days, $(shown $((audit_rows / 6 * 5))) of $(shown "$audit_rows"): the source's DELETE and VACUUM beside the job audit_prune, in partitions of a week" \
        "" source ours "times less"
    table_row "seconds" "$(figure prune_source)" "$(figure prune_ours)" "$(ratio prune_source prune_ours)"
    table_row "WAL without full-page images, MB" "$(figure prune_wal_source)" "$(figure prune_wal_ours)" "$(ratio prune_wal_source prune_wal_ours)"
    table_row "MB on disk before" "$(shown "$before_source")" "$(shown "$before_ours")" ""
    table_row "MB on disk after" "$(shown "$(audit_megabytes jobs_source public)")" "$(shown "$after_ours")" ""
    load_audit_logs
    prune_ours "$(sql jobs "SHOW claude_gpt.job_duty_cycle")" prune_resting
    table_row "seconds, with the rests of the default job_duty_cycle" "" "$(figure prune_resting)" "$(ratio prune_source prune_resting)"
    bar "audit_prune beside DELETE and VACUUM" "$(ratio_of prune_source prune_ours)" '>=' 10 times
    bar "disk space back, of what the rows took" \
        "$(calculate "100 * ($before_ours - $after_ours) / ($before_ours * 5 / 6)")" '>=' 90 %
    no_older_audit_log_is_left
    sql postgres "DROP DATABASE jobs_source"
    sql jobs "TRUNCATE audit_logs"
}

prune_source() {
    sample prune_source "$(sql jobs_source '\timing on' "DELETE FROM audit_logs WHERE created_at < now() - interval '30 days'" "VACUUM audit_logs" |
        sed -nE 's/^Time: ([0-9.]+) ms.*/\1/p' | awk '{ sum += $1 } END { print sum / 1000 }')"
}
# prune_ours PERCENT SAMPLE
prune_ours() { sample "$2" "$(calculate "$(milliseconds jobs "SET claude_gpt.job_duty_cycle = $1" '\timing on' "CALL run_job('audit_prune')") / 1000")"; }

load_audit_logs() {
    sql jobs "TRUNCATE audit_logs"
    sql jobs "CALL create_partitions('audit_logs', now() - interval '181 days', now())" 2>/dev/null
    run_job_file audit_logs
    sql jobs "ANALYZE audit_logs"
    sql postgres CHECKPOINT
}

no_older_audit_log_is_left() {
    [ "$(sql jobs "SELECT count(*) FROM audit_logs WHERE created_at < now() - interval '30 days'")" = 0 ] || failed_bar "no older row is left" none some
}

audit_megabytes() {
    sql "$1" "SELECT (pg_total_relation_size('$2.audit_logs') + COALESCE((SELECT sum(pg_total_relation_size(t.relid)) FROM pg_partition_tree('$2.audit_logs') AS t), 0)) / 1048576.0"
}

expired_sessions() { sql jobs "SELECT count(*) FROM user_sessions WHERE expires_at < now() OR NOT is_active"; }

# measure_job_under_load JOB CAPTION: 8 clients meter; a third of the time nothing runs, then a worker runs the job, then
# nothing again. What they did in each part is counted from their own log. For monthly_reset every part is a day of its
# own, since a user's first call of a day costs more than the next, job or not: it changes an index.
measure_job_under_load() {
    local job=$1 caption=$2 log=$scratch/job.log next_month clients counted_before counted_after processed
    local -a scripts=(-f "$bench/queries/update_user_usage.sql")
    if [ "$job" = session_cleanup ]; then scripts+=(-f "$bench/queries/use_live_session.sql"); fi
    rm -f "$log".*
    sql jobs "VACUUM users" "VACUUM user_sessions"
    sql postgres CHECKPOINT
    counted_before=$(sql jobs "SELECT sum(total_message_count) FROM users")
    PGOPTIONS="-c synchronous_commit=off" pgbench -n -M prepared -c 8 -j 2 "${scripts[@]}" -D users="$job_users" -D live=$((job_sessions / 6)) \
        -T 3600 -l --log-prefix="$log" jobs >"$scratch/job.pgbench" 2>&1 &
    clients=$!
    local warm=5 quiet=$((10 * seconds)) start_quiet start_month start_job end_job end_quiet
    if [ "$job" = monthly_reset ]; then set_clock "-1 day"; fi
    sleep $warm
    start_quiet=$(date +%s.%N)
    sleep $quiet
    start_month=$(date +%s.%N)
    if [ "$job" = monthly_reset ]; then
        set_clock "0 days"
        sleep $((2 * seconds))
    fi
    sql jobs "ALTER DATABASE jobs RESET claude_gpt.jobs" "TRUNCATE job_runs"
    start_job=$(date +%s.%N)
    sql jobs "UPDATE jobs SET next_run_at = '2000-01-01', enabled = true WHERE name = '$job'"
    until [ "$(sql jobs "SELECT count(*) FROM job_runs WHERE job_name = '$job' AND outcome <> 'running'")" = 1 ]; do sleep 0.2; done
    end_job=$(date +%s.%N)
    sql jobs "UPDATE jobs SET enabled = false" "ALTER DATABASE jobs SET claude_gpt.jobs = off"
    if [ "$job" = monthly_reset ]; then set_clock "1 day"; fi
    sleep $quiet
    end_quiet=$(date +%s.%N)
    # pgbench then writes its log, which it would not after a signal.
    sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbench'" >/dev/null
    wait $clients || true
    counted_after=$(sql jobs "SELECT sum(total_message_count) FROM users")
    processed=$(cat "$log".* | awk '$4 == 0' | wc -l)
    cat "$log".* | awk -v a="$start_quiet" -v m="$start_month" -v b="$start_job" -v c="$end_job" -v d="$end_quiet" -v prefix="$samples/$job" '
        { t = $5 + $6 / 1000000 }
        t >= m && t < b { rolling++ }
        t >= a && t < m { before++; print $3 / 1000 > (prefix "_latency_quiet") }
        t >= b && t < c { during++; print $3 / 1000 > (prefix "_latency_job") }
        t >= c && t < d { after++ }
        END {
            print before / (m - a) > (prefix "_tps_before"); print rolling / (b - m) > (prefix "_tps_rolling"); print during / (c - b) > (prefix "_tps_job"); print after / (d - c) > (prefix "_tps_after")
        }'
    local took rows undisturbed kept slow_quiet slow_job
    took=$(calculate "$end_job - $start_job")
    rows=$(sql jobs "SELECT row_count FROM job_runs WHERE job_name = '$job'")
    undisturbed=$(calculate "($(cat "$samples/${job}_tps_before") + $(cat "$samples/${job}_tps_after")) / 2")
    kept=$(calculate "100 * $(cat "$samples/${job}_tps_job") / $undisturbed")
    slow_quiet=$(quantile 0.999 "$samples/${job}_latency_quiet")
    slow_job=$(quantile 0.999 "$samples/${job}_latency_job")
    table "$caption by a worker while 8 clients meter, synchronous_commit off: it took $(shown "$took") s for $(shown "$rows") rows" \
        "" "before" "meanwhile" "after"
    table_row "calls a second" "$(shown "$(cat "$samples/${job}_tps_before")")" "$(shown "$(cat "$samples/${job}_tps_job")")" "$(shown "$(cat "$samples/${job}_tps_after")")"
    if [ "$job" = monthly_reset ]; then table_row "in the new month, before the job began" "" "$(shown "$(cat "$samples/${job}_tps_rolling")")" ""; fi
    table_row "99.9 % of the calls took at most, ms" "$(shown "$slow_quiet")" "$(shown "$slow_job")" ""
    table_row "longest, ms" "$(shown "$(quantile 1 "$samples/${job}_latency_quiet")")" "$(shown "$(quantile 1 "$samples/${job}_latency_job")")" ""
    bar "$job: calls a second kept" "$kept" '>=' 80 %
    bar "$job: p99.9 of a call" "$slow_job" '<=' 200 ms
    [ "$(sql jobs "SELECT outcome FROM job_runs WHERE job_name = '$job'")" = succeeded ] || failed_bar "$job succeeds" yes no
    # Calls that were counted when pgbench was stopped, but not logged: one a client at most.
    local lost
    lost=$((processed - (counted_after - counted_before)))
    if [ "$job" = monthly_reset ]; then
        [ $lost -le 0 ] && [ $lost -ge -8 ] || failed_bar "$job: no update is lost" none "$lost"
        [ -z "$(sql jobs "SELECT 1 FROM prove_books() LIMIT 1")" ] || failed_bar "$job: the books prove" yes no
        sql postgres "ALTER SYSTEM RESET claude_gpt.fixed_time" "SELECT pg_reload_conf()" >/dev/null
    fi
}

# The clock of all sessions, those of the clients too: so far from the first of the next month, when nothing was set yet.
set_clock() {
    : "${next_month:=$(sql jobs "SELECT current_billing_period() + interval '1 month'")}"
    sql postgres "ALTER SYSTEM SET claude_gpt.fixed_time = '$(sql postgres "SELECT to_char(timestamp '$next_month' + interval '$1', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")'" \
        "SELECT pg_reload_conf()" >/dev/null
}

quantile() { sort -g "$2" | awk -v q="$1" '{ v[NR] = $1 } END { i = int(NR * q); print v[i < 1 ? 1 : i] }'; }
