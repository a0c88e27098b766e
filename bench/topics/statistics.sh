# The view user_statistics.
measure_statistics() {
    local heavy=$((users + 1))
    table "user_statistics, milliseconds, warm" "" source ours
    time_view "COPY (SELECT * FROM user_statistics) TO STDOUT" 3 90
    table_row "all $users users" "$source_time" "$(figure ours)"
    if [[ $source_time == "did not end"* ]]; then
        bar "user_statistics, all users (the source's $source_time)" "$(median_of ours)" '<=' 5000 ms
    else
        failed_bar "user_statistics, all users" "source's not done in 90 s" "source $source_time ms, ours $(figure ours) ms"
    fi
    time_view "SELECT * FROM user_statistics WHERE id = md5('$heavy')::uuid" 20 20
    table_row "one heavy user: 200 conversations, 4,000 messages, 4,000 usage records" "$source_time" "$(figure ours)"
    bar "user_statistics of one heavy user (the source's $source_time)" "$(median_of ours)" '<=' 20 ms
    time_view "SELECT * FROM user_statistics WHERE id = md5('7')::uuid" 20 20
    table_row "one user: 2 conversations, 20 messages, 20 usage records" "$source_time" "$(figure ours)"
}

# time_view QUERY TIMES PATIENCE: our samples, and source_time, a number or "did not end in PATIENCE s".
time_view() {
    local query=$1 times=$2 patience=$3
    repeat_query ours > "$samples/ours"
    if sql source "SET statement_timeout = '${patience}s'" "$query" >/dev/null 2>&1; then
        repeat_query source > "$samples/source"
        source_time=$(figure source)
    else
        source_time="did not end in $patience s"
    fi
}

# Once to warm, then TIMES.
repeat_query() {
    local -a statements=()
    local i
    for ((i = 0; i < times; i++)); do statements+=("$query"); done
    milliseconds "$1" "$query" '\timing on' "${statements[@]}"
}
