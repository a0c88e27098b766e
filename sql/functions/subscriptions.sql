-- Topic subscriptions: plans, and what they allow.

-- Levels: read application billing operator
CREATE FUNCTION claude_gpt.check_subscription_limit(p_user_id uuid, p_action varchar DEFAULT 'message') RETURNS boolean
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_check_subscription_limit';
COMMENT ON FUNCTION claude_gpt.check_subscription_limit(uuid, varchar) IS
'True while the plan of the user admits one more "message", "token" or "api_call" this month and its costPerMonth, if it has one, is not used up; otherwise false; never NULL. The plan is that of the effective tier. Reads the limits messagesPerMonth, tokensPerMonth and apiCallsPerMonth; -1 is unlimited, as are the last two where absent. Counters of a month that is over count as zero. Errors: P0002 no such user; 22004 NULL; 22023 no such action; 55000 the plan is not configured. Locks nothing.';

-- Levels: read application billing operator
CREATE FUNCTION claude_gpt.effective_tier(p_user_id uuid) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'claude_gpt_effective_tier';
COMMENT ON FUNCTION claude_gpt.effective_tier(uuid) IS
'The tier that a user is served by now: the subscribed tier, or "free" when the status is canceled, cancelled, unpaid, incomplete, incomplete_expired, expired or paused, or when the paid period ended longer ago than the configuration "subscription_grace" (three days by default; no grace with subscription_cancel_at_period_end). Errors: P0002 no such user; 22004 NULL. Locks nothing.';

-- Levels: billing
CREATE FUNCTION claude_gpt.set_subscription(
    p_user_id uuid,
    p_tier text,
    p_status text DEFAULT 'active',
    p_current_period_end timestamptz DEFAULT NULL,
    p_cancel_at_period_end boolean DEFAULT false,
    p_subscription_id text DEFAULT NULL,
    p_event_type text DEFAULT 'subscription_updated',
    p_metadata jsonb DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'claude_gpt_set_subscription';
COMMENT ON FUNCTION claude_gpt.set_subscription(uuid, text, text, timestamptz, boolean, text, text, jsonb) IS
'Sets the subscription of a user and writes the event to subscription_history. A NULL period end never ends; a NULL subscription id keeps the one that is stored. Where the plan says billing_anchor "subscription", the day of the period end is that on which the billing periods of the user begin, once the running one has ended. Errors: P0002 no such user; 22004 NULL in another parameter; 22023 unknown status or event type; 23514 the tier is not a configured plan. Locks: the row of the user, and the plans of the configuration FOR SHARE where the tier changes.';
