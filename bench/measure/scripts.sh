# Scripts with texts in them, which are made from those of bench.texts.
message_columns="conversation_id, user_id, role, content, model_used, prompt_tokens, completion_tokens, total_tokens, cost"

# Texts stand in the statement, so that none is looked up; four, since the server copies the statement each time it is
# executed: with 32, a tenth of the instructions of a turn were that.
make_insert_script() {
    local language=$1
    {
        printf '\\set c random(1, %s)\n\\set t random(1, 4)\n' "$(scaled 2000)"
        echo "INSERT INTO messages ($message_columns)"
        sql ours "SELECT format('VALUES (md5(''conversation'' || :c * 2)::uuid, md5((:c)::text)::uuid, ''user'', (%L::text[])[:t],'
            ' ''gpt-4'', 20, 60, 80, 0.002);', array_agg($language)) FROM bench.texts WHERE number <= 4"
    } > "$(insert_script "$language")"
}

insert_script() { echo "$scratch/insert_$1.sql"; }

# A question of about 300 characters, a reply of about 1,200, both in the statement, so that none is looked up.
# DELAY stands after each statement.
make_turn_script() {
    local side=$1 delay=$2 file questions replies
    file=$(turn_script "$side" "$delay")
    questions=$(sql ours "SELECT quote_literal(array_agg(english)) FROM bench.texts WHERE number <= 4")
    replies=$(sql ours "SELECT quote_literal(array_agg(t)) FROM (SELECT string_agg(english, ' ') AS t FROM bench.texts
        WHERE number < 16 GROUP BY number / 4) AS r")
    sed -e "s/QUESTION/(${questions//\//\\/}::text[])[:t]/" -e "s/REPLY/(${replies//\//\\/}::text[])[:t]/" \
        -e "/;\$\|\\\\gset\$/ s/\$/\\n${delay//\\/\\\\}/" "$bench/queries/turn_$side.sql" > "$file"
}

turn_script() { echo "$scratch/turn_$1${2:+_delayed}.sql"; }

# prepare_admission guarded_update|counters|record, and its script: consume_quota without and with its usage record, beside
# the least that a guarded counter can cost, one UPDATE of the same row.
prepare_admission() {
    sql ours "VACUUM users"
    case $1 in
        counters) keep_ledger false ;;
        record) keep_ledger true ;;
    esac
}

admission_script() { case $1 in counters | record) echo consume_quota ;; *) echo "$1" ;; esac; }
