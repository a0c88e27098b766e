# Redis beside ours: a rate limit and a quota as Lua scripts, with each way of keeping its append-only file, beside rate_limit
# and consume_quota. Both servers are asked by 8 clients over a unix socket; redis-benchmark is to Redis what pgbench is to ours.
redis_modes="none everysec always"

measure_redis() {
    local mode
    find_redis || { skip_section "Redis is not installed (tools/install-packages bench)"; return; }
    admit_everything
    keep_ledger true
    start_redis
    table "8 clients over a unix socket; CPU of all the server's processes and threads; Redis $("$redis" --version | sed -E 's/.* v=([0-9.]+) .*/\1/')" \
        "call" "CPU a call, microseconds" "calls a second"
    in_abba_order "$passes" call_beside ping no_op gcra_{none,everysec,always} rate_limit quota_{none,everysec,always} \
        consume_off consume_on update_off update_on
    row_beside "PING" ping
    row_beside "a no-op native function" no_op
    for mode in $redis_modes; do row_beside "rate limit in Lua, append-only file: $mode" "gcra_$mode"; done
    row_beside "rate_limit, a key for each client" rate_limit
    for mode in $redis_modes; do row_beside "quota in Lua with a stream as ledger, append-only file: $mode" "quota_$mode"; done
    for mode in off on; do row_beside "consume_quota with its usage record, synchronous_commit $mode" "consume_$mode"; done
    for mode in off on; do row_beside "a bare guarded UPDATE ... RETURNING, synchronous_commit $mode" "update_$mode"; done
    ratios_beside
    stop_redis
}

row_beside() { table_row "$1" "$(figure "$2")" "$(figure "rate_$2")"; }

# What either loses in a crash is the same within a row.
ratios_beside() {
    table "Ours beside Redis, where a crash loses the same" "" "CPU a call, ours / Redis" "calls a second, ours / Redis"
    ratio_beside "rate_limit; no append-only file" rate_limit gcra_none
    ratio_beside "consume_quota, synchronous_commit off; everysec" consume_off quota_everysec
    ratio_beside "consume_quota, synchronous_commit on; always" consume_on quota_always
}

ratio_beside() { table_row "$1" "$(ratio "$2" "$3")" "$(ratio "rate_$2" "rate_$3")"; }

# Debian's package redis-tools has the server's program under another name; redis-server would add a service, which nobody asked for.
find_redis() {
    local same
    command -v redis-benchmark >/dev/null || return 1
    if redis=$(command -v redis-server); then return; fi
    same=$(command -v redis-check-rdb) || return 1
    redis=$scratch/redis-server
    ln -sf "$same" "$redis"
}

# One server for each way, all at once; who is not asked does nothing.
start_redis() {
    local mode
    redis_directory=$scratch/server/redis
    "$tools/private-server" run "$scratch/server" sh -c 'rm -rf "$0" && mkdir "$0"' "$redis_directory"
    for mode in $redis_modes; do
        "$tools/private-server" run "$scratch/server" sh -c 'mkdir "$0" && cd "$0" && exec "$@" >/dev/null' "$redis_directory/$mode" \
            "$redis" --port 0 --unixsocket "$redis_directory/$mode.socket" --daemonize yes --save "" --auto-aof-rewrite-percentage 0 \
            --dir "$redis_directory/$mode" --appendonly "$(if [ "$mode" = none ]; then echo no; else echo yes; fi)" \
            --appendfsync "$(if [ "$mode" = none ]; then echo no; else echo "$mode"; fi)"
        wait_for_redis "$mode"
    done
}

wait_for_redis() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if [ "$(ask_redis "$1" PING 2>/dev/null)" = PONG ]; then return; fi
        sleep 0.1
    done
    echo "bench: Redis did not start in $redis_directory/$1" >&2
    return 1
}

stop_redis() {
    local mode
    for mode in $redis_modes; do ask_redis "$mode" SHUTDOWN NOSAVE >/dev/null 2>&1 || true; done
}

ask_redis() { redis-cli -s "${redis_directory:-}/$1.socket" "${@:2}"; }

# call_beside LABEL: prints its CPU a call, and notes its rate along with it.
call_beside() {
    case $1 in
        ping) call_redis none 1 40000 PING ;;
        gcra_*) call_redis "${1#gcra_}" 8 "$(calls_of "$1" 40000)" EVALSHA "$(load_script "${1#gcra_}" gcra)" 1 client:__rand_int__ 1000000 60000000 ;;
        quota_*) call_redis "${1#quota_}" "$users" "$(calls_of "$1" 40000)" EVALSHA "$(load_script "${1#quota_}" quota)" 2 user:__rand_int__ ledger 100000000 ;;
        no_op) call_ours off 40000 no_op ;;
        rate_limit) call_ours off 40000 rate_limit_own_key ;;
        consume_*) call_ours "${1#consume_}" "$(calls_of "$1" 16000)" consume_quota ;;
        update_*) call_ours "${1#update_}" "$(calls_of "$1" 16000)" guarded_update ;;
    esac > "$scratch/beside"
    echo "$(sed -n 2p "$scratch/beside")" >> "$samples/rate_$1"
    sed -n 1p "$scratch/beside"
}

# Fewer where each call waits for the disk.
calls_of() { case $1 in *_always | *_on) echo 4000 ;; *) echo "$2" ;; esac; }

load_script() { ask_redis "$1" SCRIPT LOAD "$(cat "$bench/redis/$2.lua")"; }

# call_redis MODE KEYS CALLS COMMAND...: CPU a call, then calls a second; __rand_int__ is one of KEYS.
call_redis() {
    local mode=$1 before rate
    before=$(redis_cpu "$mode")
    rate=$(redis-benchmark -s "$redis_directory/$mode.socket" -c 8 -r "$2" -n "$3" --csv "${@:4}" | sed -nE '$s/^"[^"]*","([0-9.]+)".*/\1/p')
    calculate "1000000 * ($(redis_cpu "$mode") - $before) / $3"
    echo "$rate"
}

# Seconds of all its threads.
redis_cpu() { ask_redis "$1" INFO cpu | awk -F: '/^used_cpu_(sys|user):/ { sum += $2 } END { print sum }'; }

# call_ours DURABLE CALLS SCRIPT: the same two. What connecting takes is measured apart, as Redis' clients connect for nothing.
call_ours() {
    local calls=$(($2 / 8)) connecting cpu
    sql ours "VACUUM users"
    connecting=$(with_synchronous_commit "$1" cpu_seconds_of run_clients ours "$3" 8 -t 1)
    cpu=$(with_synchronous_commit "$1" cpu_seconds_of run_into_report "$3")
    calculate "1000000 * ($cpu - $connecting) / ($calls * 8)"
    sed -nE 's/^tps = ([0-9.]+) .*without initial.*/\1/p' "$scratch/report"
}

run_into_report() { run_clients ours "$1" 8 -t "$calls" > "$scratch/report"; }
