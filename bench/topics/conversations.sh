# Storing messages, and the view conversation_summary.
message_columns="conversation_id, user_id, role, content, model_used, prompt_tokens, completion_tokens, total_tokens, cost"

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
    local language rows before after
    rows=$(scaled 40000)
    before=$(updates_of ours conversations)
    table "CPU of the server for each message stored, microseconds; ours keeps the conversation's counters, the source's none" \
        "" source ours "ours / source"
    for language in english chinese; do
        make_insert_script "$language"
        in_abba_order "$passes" insert_cpu source ours
        table_row "one INSERT a transaction, $language" \
            "$(figure source)" "$(figure ours)" "$(ratio ours source)"
        if [ $language = english ]; then
            bar "message insert, CPU, of the source's without counters" "$(ratio_of ours source)" '<=' 0.6 times
        fi
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

# Texts stand in the statement, so that none is looked up; few, since the server measures the length of a
# statement each time it is executed.
make_insert_script() {
    {
        printf '\\set c random(1, %s)\n\\set t random(1, 32)\n' "$(scaled 2000)"
        echo "INSERT INTO messages ($message_columns)"
        sql ours "SELECT format('VALUES (md5(''conversation'' || :c * 2)::uuid, md5((:c)::text)::uuid, ''user'', (%L::text[])[:t],'
            ' ''gpt-4'', 20, 60, 80, 0.002);', array_agg($1)) FROM bench.texts WHERE number <= 32"
    } > "$scratch/insert_message.sql"
}

insert_cpu() {
    local cpu
    cpu=$(with_synchronous_commit off cpu_seconds_of run_clients "$1" "$scratch/insert_message.sql" 1 -t "$rows")
    calculate "1000000 * $cpu / $rows"
}

insert_many_cpu() {
    local cpu
    cpu=$(with_synchronous_commit off cpu_seconds_of sql "$1" "
        INSERT INTO messages ($message_columns)
        SELECT md5('conversation' || 1 + number % $users * 2)::uuid, md5((1 + number % $users)::text)::uuid, 'user', $language,
            'gpt-4', 20, 60, 80, 0.002
        FROM bench.texts")
    calculate "1000000 * $cpu / 20000"
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
