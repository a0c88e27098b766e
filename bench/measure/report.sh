# The report: a section for each topic, in bench/results.md, and a table of bars over all of them.

begin_section() {
    topic=$1
    section=$sections/$topic.md
    bars=$sections/$topic.bars
    : > "$bars"
    {
        echo "## $topic"
        echo
        conditions
    } > "$section"
}

conditions() {
    printf 'PostgreSQL %s, %s cores (%s), %s GB of memory; scale %s (%s users); %s s a measurement, %s of each side, in ABBA order; load average %s at the beginning; %s.\n' \
        "$(sql postgres 'SHOW server_version')" "$(nproc)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sort -u | head -n 1)" \
        "$((memory_mb / 1024))" "$scale" "$users" "$seconds" "$passes" "$(cut -d " " -f 1 /proc/loadavg)" "$(date -u +%F)"
    echo "Server settings: $(printf "%s, " "${settings[@]}" | sed "s/, $//")."
}

# The profile that shows why a bar is missed, and other findings, are written by hand.
end_section() {
    [ -f "$section" ] || return 0
    if [ -f "$bench/notes/$topic.md" ]; then
        printf '\n### Notes\n\n' >> "$section"
        cat "$bench/notes/$topic.md" >> "$section"
    fi
    echo >> "$section"
}

# skip_section WHY: what results.md has of this topic stays.
skip_section() {
    echo "bench: \"$topic\" is left out: $1" >&2
    rm -f "$section" "$bars"
}

# table CAPTION COLUMN...: begins a table; then table_row CELL... for each row. Both go to the terminal too.
table() {
    printf '\n%s\n\n' "$1" | tee -a "$section"
    shift
    table_row "$@"
    local column rule='| --- |'
    for column in "${@:2}"; do rule+=' ---: |'; done
    echo "$rule" >> "$section"
}

table_row() { { printf '|'; printf ' %s |' "$@"; echo; } | tee -a "$section"; }

# bar WHAT MEASURED COMPARISON LIMIT UNIT
bar() {
    local verdict=MISSED sign
    if [ "$(calculate "$2 $3 $4" %d)" = 1 ]; then verdict=met; fi
    case $3 in '<=') sign='at most' ;; '>=') sign='at least' ;; '>') sign='more than' ;; esac
    echo "| $topic | $1 | $sign $(shown_limit "$4")${5:+ $5} | $(shown "$2")${5:+ $5} | $verdict |" >> "$bars"
}

shown_limit() { if [ "${#1}" -gt 5 ]; then shown "$1"; else echo "$1"; fi; }

failed_bar() { echo "| $topic | $1 | $2 | $3 | MISSED |" >> "$bars"; }

write_results() {
    local old=$sections/old.md one
    cp "$results" "$old" 2>/dev/null || : > "$old"
    {
        cat "$bench/measure/results_head.md"
        for one in $all_topics; do
            if [ -f "$sections/$one.bars" ]; then cat "$sections/$one.bars"; else grep "^| $one | " "$old" || true; fi
        done
        echo
        for one in $all_topics; do
            if [ -f "$sections/$one.md" ]; then cat "$sections/$one.md"; else section_of "$one" "$old"; fi
        done
    } > "$results.new"
    mv "$results.new" "$results"
}

section_of() { awk -v heading="## $1" '/^## /{ inside = $0 == heading } inside' "$2"; }

show_bars() { find "$sections" -name '*.bars' -exec cat {} +; }
