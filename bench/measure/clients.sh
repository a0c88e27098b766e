# Clients: pgbench with prepared statements over a unix socket, connections made before the clock starts.
# A script of queries/ is the same for both sides; the search_path of the database decides whose it runs.

# tps DATABASE SCRIPT CLIENTS [OPTION...]: transactions a second.
tps() { run_clients "$1" "$2" "$3" -T "$seconds" "${@:4}" | sed -nE 's/^tps = ([0-9.]+) .*without initial.*/\1/p'; }

# run_clients DATABASE SCRIPT CLIENTS OPTION...: pgbench's report. At most as many threads as cores.
run_clients() {
    local database=$1 script=$2 clients=$3 threads
    shift 3
    threads=$((clients < $(nproc) ? clients : $(nproc)))
    pgbench -n -M prepared -c "$clients" -j "$threads" -f "$(script_file "$script")" -D users="$users" "$@" "$database" 2>"$scratch/pgbench.err" ||
        { cat "$scratch/pgbench.err" >&2; return 1; }
    # pgbench goes on after a client fails.
    if grep -q 'aborted' "$scratch/pgbench.err"; then cat "$scratch/pgbench.err" >&2; return 1; fi
}

# A name stands for a file of queries/.
script_file() { case $1 in */*) echo "$1" ;; *) echo "$bench/queries/$1.sql" ;; esac; }

# with_synchronous_commit on|off COMMAND...
with_synchronous_commit() { PGOPTIONS="-c synchronous_commit=$1" "${@:2}"; }
