# User instructions of the backend for a call: what holds on a machine that others use too.
# As many as let the source's full-text index collect about what it collects before it sorts that in, where it takes part.
calls_with_index=1000 calls_without=300

measure_instructions() {
    local language side
    start_counting || { skip_section "nothing counts instructions here"; return; }
    for side in $sides; do make_turn_script "$side" ''; done
    for language in english chinese; do make_insert_script "$language"; done
    admit_everything
    keep_ledger true
    table "User instructions of the backend for a call over a unix socket, counted by $counted_by, one client: $calls_with_index calls with a message, $calls_without others, after some to warm up" \
        "" source ours "ours / source"
    count_turn
    count_pair "update_user_usage with its usage records; the source's plus INSERT" update_user_usage_and_insert update_user_usage
    keep_ledger false
    count_pair "update_user_usage, counters only" update_user_usage update_user_usage
    count_pair check_subscription_limit check_subscription_limit check_subscription_limit
    for language in english chinese; do
        count_pair "message INSERT, $language" "$(insert_script "$language")" "$(insert_script "$language")" $calls_with_index
    done
    count_admissions
    stop_counting
}

# count_pair WHAT SCRIPT-OF-SOURCE SCRIPT-OF-OURS [CALLS]
count_pair() {
    local source_script=$2 ours_script=$3 calls=${4:-$calls_without}
    in_abba_order 1 count_side source ours
    table_row "$1" "$(figure source)" "$(figure ours)" "$(ratio ours source)"
}

count_side() {
    local script=${1}_script
    vacuum_turns "$1"
    instructions_of "$1" "${!script}" "$calls"
}

count_turn() {
    count_pair "a whole turn" "$(turn_script source '')" "$(turn_script ours '')" $calls_with_index
    bar "a whole turn, user instructions" "$(median_of ours)" '<=' 1000000 ""
    bar "a whole turn, user instructions, of the source's" "$(ratio_of ours source)" '<=' 0.3 times
}

# Beside a call that does nothing, and the least that a guarded counter can cost.
count_admissions() {
    table "The same, of our tables" "" instructions "of the guarded UPDATE"
    in_abba_order 1 count_admission no_op primary_key_lookup guarded_update counters record
    table_row "a no-op native function" "$(figure no_op)" "$(ratio no_op guarded_update)"
    table_row "a primary-key SELECT on users" "$(figure primary_key_lookup)" "$(ratio primary_key_lookup guarded_update)"
    table_row "a bare guarded UPDATE ... RETURNING" "$(figure guarded_update)" ""
    table_row "consume_quota, counters" "$(figure counters)" "$(ratio counters guarded_update)"
    table_row "consume_quota with its usage record" "$(figure record)" "$(ratio record guarded_update)"
    bar "consume_quota with its usage record, user instructions, of a bare guarded UPDATE" "$(ratio_of record guarded_update)" '<=' 1.15 times
    keep_ledger true
}

count_admission() {
    prepare_admission "$1"
    instructions_of ours "$(admission_script "$1")" $calls_without
}
