# User instructions of a call: the processor's own count where it gives one, else callgrind's, in a server that runs
# under valgrind over the same data. Callgrind counts what the program executes one by one, so its figures hold on a
# machine however busy; it models neither caches nor the kernel, whose share the CPU time shows.

# start_counting: fails where nothing can count. Then instructions_of, and stop_counting.
start_counting() {
    counts=
    if [ "$(instructions_of ours no_op 1)" != - ]; then
        counted_by="the processor"
        return
    fi
    command -v valgrind >/dev/null ||
        { echo "bench: instructions are not counted: the processor does not, and valgrind is not installed (tools/install-packages valgrind)" >&2; return 1; }
    counted_by="callgrind ($(valgrind --version))"
    counts=$scratch/server/counts
    "$tools/private-server" run "$scratch/server" sh -c 'rm -rf "$0" && mkdir "$0"' "$counts"
    "$tools/private-server" stop "$scratch/server" >/dev/null
    start_under_callgrind
}

# Instrumented only while a meter runs, so that the rest costs little.
start_under_callgrind() {
    setsid "$tools/private-server" run "$scratch/server" valgrind -q --tool=callgrind --instr-atstart=no \
        "--callgrind-out-file=$counts/%p" postgres -D "$scratch/server/data" >"$scratch/callgrind.log" 2>&1 </dev/null &
    until pg_isready -q; do
        kill -0 $! 2>/dev/null || { cat "$scratch/callgrind.log" >&2; return 1; }
        sleep 0.2
    done
}

stop_counting() { if [ -n "$counts" ]; then restart_server; fi; }

# instructions_of DATABASE SCRIPT CALLS: "-" where nothing counts them.
instructions_of() {
    local use
    if [ -n "$counts" ]; then rm -f "$counts"/*; fi
    use=$(metered "$@")
    use=${use#* }
    if [ -n "$counts" ]; then use=$(sed -n 's/^totals: //p' "$counts"/*.1 | awk -v calls="$3" '{ print $1 / calls }'); fi
    echo "$use"
}
