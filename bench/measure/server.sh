# The private server, what it used, and what it wrote.

start_measuring() {
    "$tools/install-packages" build bench
    PG_CONFIG=$("$tools/pg-config")
    export PG_CONFIG
    "$tools/build-and-install"
    if [ -n "${BENCH_DIR:-}" ]; then
        mkdir -p "$BENCH_DIR"
        scratch=$(realpath "$BENCH_DIR")
    else
        scratch=$(mktemp -d /var/tmp/claude_gpt_bench.XXXXXX)
    fi
    chmod 755 "$scratch"
    samples=$scratch/samples sections=$scratch/sections
    rm -rf "$samples" "$sections"
    mkdir -p "$samples" "$sections"
    trap stop_measuring EXIT
    trap 'exit 130' INT TERM HUP
    require_space
    SERVER_LOCALE=C.UTF-8 "$tools/private-server" start "$scratch/server" -- "${settings[@]}"
    eval "$("$tools/private-server" env "$scratch/server")"
    postmaster=$(sql postgres "SELECT pg_read_file('postmaster.pid')" | head -n 1)
}

# restart_server [SETTING...]: with these besides.
restart_server() {
    "$tools/private-server" stop "$scratch/server" >/dev/null
    "$tools/private-server" start "$scratch/server" -- "${settings[@]}" "$@" >/dev/null
    postmaster=$(sql postgres "SELECT pg_read_file('postmaster.pid')" | head -n 1)
    # Into the buffers, which a restart empties.
    sql ours "SELECT sum(length(email)) FROM users" "SELECT count(*) FROM bench.callers" >/dev/null
}

# Vacuum runs before measurements, not in them; likewise checkpoints are kept apart. Full-page images are off: how many
# there are depends on when the last checkpoint was, and a record whose page is logged whole is shorter than it is else.
# What is not named has the server's default.
memory_mb=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
settings=("shared_buffers = $((memory_mb / 4 < 2048 ? memory_mb / 4 : 2048))MB" "max_wal_size = 8GB"
    "checkpoint_timeout = 1h" "full_page_writes = off" "autovacuum = off" "max_connections = 60" "log_min_messages = error")

require_space() {
    local needed free
    needed=$(calculate "1 + 16 * $scale" %d)
    free=$(($(df --output=avail -k "$scratch" | tail -n 1) / 1048576))
    [ "$free" -ge "$needed" ] || [ -d "$scratch/server" ] ||
        { echo "bench: $scratch has $free GB free, this scale needs $needed" >&2; exit 1; }
}

# A topic that starts another server names what stops it "stop_TOPIC".
stop_measuring() {
    local status=$?
    if declare -F "stop_${topic:-}" >/dev/null; then "stop_$topic"; fi
    "$tools/private-server" stop "$scratch/server" >/dev/null || true
    if [ -z "${BENCH_DIR:-}" ]; then rm -rf "$scratch"; fi
    exit $status
}

# sql DATABASE STATEMENT...: prints what they return.
sql() {
    local database=$1 statement
    local -a commands=()
    shift
    for statement in "$@"; do commands+=(-c "$statement"); done
    PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning" psql -XqAt -v ON_ERROR_STOP=1 -d "$database" "${commands[@]}"
}

# The milliseconds each statement took after \timing on; warm-up statements stand before it.
milliseconds() { sql "$@" | sed -nE 's/^Time: ([0-9.]+) ms.*/\1/p'; }

# CPU seconds that the server used while COMMAND ran: backends that ended meanwhile, and background processes.
cpu_seconds_of() {
    local before after processes
    processes=$(server_processes | wc -l)
    before=$(cpu_ticks)
    "$@" >/dev/null
    while [ "$(server_processes | wc -l)" -gt "$processes" ]; do sleep 0.02; done
    sleep 0.1  # the end of the last backend is added up when the postmaster notices it
    after=$(cpu_ticks)
    calculate "($after - $before) / $(getconf CLK_TCK)"
}

server_processes() {
    local stat
    for stat in /proc/[0-9]*/stat; do
        sed -E 's/^([0-9]+) \(.*\) . ([0-9]+) .*/\2 \1/' "$stat" 2>/dev/null || true
    done | sed -n "s/^$postmaster //p"
}

# User and system time of the postmaster, its ended children and its living ones.
cpu_ticks() {
    local pid
    {
        sed -E 's/^.*\) //' "/proc/$postmaster/stat" | awk '{ print $12 + $13 + $14 + $15 }'
        for pid in $(server_processes); do
            sed -E 's/^.*\) //' "/proc/$pid/stat" 2>/dev/null | awk '{ print $12 + $13 }'
        done
    } | awk '{ sum += $1 } END { print sum }'
}

# wal_bytes_of COMMAND...: of all records written while it ran.
wal_bytes_of() {
    local before after
    before=$(sql postgres "SELECT pg_current_wal_flush_lsn()")
    "$@" >/dev/null
    after=$(sql postgres "SELECT pg_current_wal_flush_lsn()")
    sql postgres "SELECT sum(record_size) FROM pg_get_wal_stats('$before', '$after')"
}

# updates_of DATABASE TABLE: how many so far, and how many of them were HOT.
updates_of() {
    sql "$1" "SELECT n_tup_upd || ' ' || n_tup_hot_upd FROM pg_stat_user_tables WHERE relid = '$2'::regclass"
}

# The two lines of updates_of before and after: percent that was HOT.
hot_percent() { awk '{ updates = $1 - updates; hot = $2 - hot } END { print updates ? 100 * hot / updates : 0 }'; }

# hot_share_of DATABASE TABLE COMMAND...: percent of the updates of the table while it ran.
hot_share_of() {
    local database=$1 table=$2 before after
    shift 2
    before=$(updates_of "$database" "$table")
    "$@" >/dev/null
    sleep 1  # statistics of the backends that ended
    after=$(updates_of "$database" "$table")
    printf '%s\n' "$before" "$after" | hot_percent
}
