# Storing messages, and the view conversation_summary.

measure_conversations() {
    measure_summary
    measure_insert
    measure_copy
}

measure_summary() {
    local query
    table "conversation_summary, microseconds of a query over a unix socket, one client" query source ours "times faster"
    for query in list_of_a_user list_of_the_heavy_user one_conversation; do
        in_abba_order "$passes" query_time source ours
        table_row "${query//_/ }" "$(figure source)" "$(figure ours)" "$(ratio source ours)"
    done
}

query_time() { calculate "1000000 / $(tps "$1" "$query" 1)"; }

measure_insert() {
    local language before after
    before=$(updates_of ours conversations)
    table "CPU of the backend for each message stored, microseconds; ours keeps the conversation's counters, the source's none" \
        "" source ours "ours / source"
    for language in english chinese; do
        make_insert_script "$language"
        in_abba_order "$passes" insert_cpu source ours
        table_row "one INSERT a transaction, $language" \
            "$(figure source)" "$(figure ours)" "$(ratio ours source)"
        bar "message insert, CPU of the backend, $language, of the source's without counters" "$(ratio_of ours source)" '<=' \
            "$(if [ $language = english ]; then echo 0.6; else echo 0.7; fi)" times
    done
    sleep 1
    after=$(updates_of ours conversations)
    sample hot "$(printf '%s\n' "$before" "$after" | hot_percent)"
    for language in english chinese; do
        in_abba_order "$passes" insert_many_cpu source ours
        table_row "20,000 rows an INSERT, $language" \
            "$(figure source)" "$(figure ours)" "$(ratio ours source)"
    done
    table "Counters of conversations, HOT updates while messages were stored one by one in 2,000 conversations that had none today" "" ours
    table_row "HOT updates, %" "$(figure hot)"
    bar "counter updates that are HOT" "$(median_of hot)" '>=' 90 %
}

insert_cpu() { cpu_of "$1" "$(insert_script "$language")" 10000; }

insert_many_cpu() {
    local cpu
    cpu=$(with_synchronous_commit off sql "$1" "SELECT bench.do_what_was_put_off()" "SELECT bench.start_meter()" "
        INSERT INTO messages ($message_columns)
        SELECT md5('conversation' || 1 + number % $users * 2)::uuid, md5((1 + number % $users)::text)::uuid, 'user', $language,
            'gpt-4', 20, 60, 80, 0.002
        FROM bench.texts" "SELECT bench.do_what_was_put_off()" "SELECT cpu_us FROM bench.stop_meter()" | tail -n 1)
    calculate "$cpu / 20000"
}

# COPY into one conversation, rolled back; the bar is the time of a row at the largest size over that at the smallest.
measure_copy() {
    local quarter size label
    quarter=$(scaled 250000)
    sql ours "COPY (SELECT md5('conversation' || $users * 2 + 1)::uuid, md5('$((users + 1))')::uuid, 'user', english, 80, 0.002
        FROM generate_series(1, $quarter) AS n JOIN bench.texts ON number = 1 + n % 20000) TO STDOUT" > "$scratch/messages.copy"
    in_abba_order 2 copy_seconds copy_1 copy_2 copy_4
    table "COPY into one conversation, ours, counters kept" rows seconds "microseconds a row"
    for size in 1 2 4; do
        label=copy_$size
        sample "row_$size" "$(calculate "1000000 * $(median_of $label) / ($quarter * $size)")"
        table_row "$(shown $((quarter * size)))" "$(figure $label)" "$(figure row_$size)"
    done
    bar "COPY of $(shown $((quarter * 4))) messages into one conversation, time of a row over that of $(shown "$quarter")" \
        "$(ratio_of row_4 row_1)" '<=' 1.2 times
    rm "$scratch/messages.copy"
}

copy_seconds() {
    local size=${1#copy_} file=$scratch/messages.copy
    local -a parts=()
    while [ ${#parts[@]} -lt "$size" ]; do parts+=("$file"); done
    calculate "$(milliseconds ours BEGIN '\timing on' \
        "\\copy messages (conversation_id, user_id, role, content, total_tokens, cost) FROM PROGRAM 'cat ${parts[*]}'" \
        '\timing off' ROLLBACK) / 1000"
    sql ours "VACUUM messages" "VACUUM conversations"
}
