# Clients: pgbench with prepared statements over a unix socket, connections made before the clock starts.
# A script of queries/ is the same for both sides; the search_path of the database decides whose it runs.

# tps DATABASE SCRIPT CLIENTS [OPTION...]: transactions a second.
tps() { run_clients "$1" "$2" "$3" -T "$seconds" "${@:4}" | sed -nE 's/^tps = ([0-9.]+) .*without initial.*/\1/p'; }

# run_clients DATABASE SCRIPT CLIENTS OPTION...: pgbench's report. At most as many threads as cores.
run_clients() {
    local database=$1 script=$2 clients=$3 threads
    shift 3
    threads=$((clients < $(nproc) ? clients : $(nproc)))
    case $script in */*) ;; *) script=$bench/queries/$script.sql ;; esac
    pgbench -n -M prepared -c "$clients" -j "$threads" -f "$script" -D users="$users" "$@" "$database" 2>"$scratch/pgbench.err" ||
        { cat "$scratch/pgbench.err" >&2; return 1; }
    # pgbench goes on after a client fails.
    if grep -q 'aborted' "$scratch/pgbench.err"; then cat "$scratch/pgbench.err" >&2; return 1; fi
}

# with_synchronous_commit on|off COMMAND...
with_synchronous_commit() { PGOPTIONS="-c synchronous_commit=$1" "${@:2}"; }

# us_per_call DATABASE CALL BATCHES: microseconds of CALL, an expression over "id", inside one backend: the time
# of `SELECT count(CALL)` over BATCHES twentieths of the users, less that of the same with a no-op native function.
us_per_call() {
    local database=$1 call=$2 batches=$3 batch
    local -a calls=() loops=()
    for ((batch = 1; batch <= batches; batch++)); do
        loops+=("SELECT count(pg_backend_pid()) FROM bench.callers WHERE batch = $batch")
        calls+=("SELECT count($call) FROM bench.callers WHERE batch = $batch")
    done
    with_synchronous_commit off milliseconds "$database" \
        "SELECT count($call), count(pg_backend_pid()) FROM bench.callers WHERE batch = 20" \
        '\timing on' "${loops[@]}" "${calls[@]}" |
        awk -v loops="$batches" -v calls="$(calculate "$batches * $users / 20")" \
            '{ sum += NR > loops ? $1 : -$1 } END { print 1000 * sum / calls }'
}
