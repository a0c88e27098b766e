# What the backend itself uses for a call, counted inside it by native/meter.c: figures that neither other processes nor
# waiting move, as they move rates.

# install_native DATABASE NAME DECLARATION...: builds native/NAME.c; a DECLARATION is a function's name, arguments and results.
install_native() {
    local database=$1 name=$2 declaration symbol
    if [ ! -e "$scratch/$name.so" ]; then
        cc -O2 -fPIC -shared -I"$("$PG_CONFIG" --includedir-server)" -o "$scratch/$name.so" "$bench/native/$name.c"
    fi
    for declaration in "${@:3}"; do
        symbol=${declaration%%(*}
        sql "$database" "CREATE OR REPLACE FUNCTION bench.$declaration LANGUAGE c VOLATILE AS '$scratch/$name.so', '$symbol'"
    done
}

# The source's full-text index puts its work off: what is still to be done when a measurement ends belongs to it.
install_meter() {
    install_native "$1" meter "start_meter() RETURNS void" "stop_meter(OUT cpu_us float8, OUT instructions float8)"
    sql "$1" "CREATE TABLE IF NOT EXISTS bench.readings (cpu_us float8, instructions float8)" \
        "CREATE OR REPLACE FUNCTION bench.do_what_was_put_off() RETURNS bigint LANGUAGE sql AS \$\$
             SELECT sum(gin_clean_pending_list(i.indexrelid)) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
             WHERE i.indrelid = '$(schema_of "$1").messages'::regclass AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'gin') \$\$"
}

# metered DATABASE SCRIPT CALLS [OPTION...]: "MICROSECONDS INSTRUCTIONS" of a call by one client, after some to warm up;
# instructions are "-" where nothing counts them.
metered() {
    local database=$1 calls=$3 warm_up=$((20 + $3 / 4))
    sql "$database" "TRUNCATE bench.readings"
    with_synchronous_commit off run_clients "$database" "$(metered_script "$2")" 1 -t $((warm_up + calls)) -D call=0 \
        -D first=$((warm_up + 1)) -D last=$((warm_up + calls)) "${@:4}" >/dev/null
    sql "$database" "SELECT cpu_us / $calls || ' ' || COALESCE((instructions / $calls)::text, '-') FROM bench.readings"
}

# metered_script SCRIPT: its file, with the meter around the calls from "first" to "last".
metered_script() {
    local file
    file=$scratch/metered_$(basename "$1" .sql).sql
    {
        printf '%s\n' '\set call :call + 1' '\if :call = :first' "SELECT bench.do_what_was_put_off();" "SELECT bench.start_meter();" '\endif'
        cat "$(script_file "$1")"
        printf '%s\n' '\if :call = :last' "SELECT bench.do_what_was_put_off();" \
            "INSERT INTO bench.readings SELECT * FROM bench.stop_meter();" '\endif'
    } > "$file"
    echo "$file"
}

# cpu_of DATABASE SCRIPT CALLS [OPTION...]: microseconds of the backend's CPU a call.
cpu_of() {
    local use
    use=$(metered "$@")
    echo "${use% *}"
}

# us_per_call DATABASE CALL BATCHES: microseconds of CPU that CALL, an expression over "id", takes inside one backend: that
# of `SELECT count(CALL)` over BATCHES twentieths of the users, less that of the same with a no-op native function.
us_per_call() {
    local database=$1 call=$2 batches=$3 batch
    local -a calls=() loops=()
    for ((batch = 1; batch <= batches; batch++)); do
        loops+=("SELECT count(pg_backend_pid()) FROM bench.callers WHERE batch = $batch")
        calls+=("SELECT count($call) FROM bench.callers WHERE batch = $batch")
    done
    local start="SELECT bench.start_meter()" stop="SELECT 'CPU ' || cpu_us FROM bench.stop_meter()"
    with_synchronous_commit off sql "$database" \
        "SELECT count($call), count(pg_backend_pid()) FROM bench.callers WHERE batch = 20" \
        "$start" "${loops[@]}" "$stop" "$start" "${calls[@]}" "$stop" |
        awk -v calls="$(calculate "$batches * $users / 20")" '/^CPU / { sum = $2 - sum } END { print sum / calls }'
}
