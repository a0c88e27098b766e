-- Views for reports: usage by day, plans and their limits, revenue by month. They call no function of the extension, so
-- that detach() leaves them whole.
-- Locks: none, the views are new.

-- The days come first and look for their records: a condition on day then reads these days alone, by partition and
-- index, which know nothing of days in a time zone. A day looks an hour further on both sides, since midnight may come
-- twice, and takes what the clock on the wall has on that day.
CREATE VIEW claude_gpt_data.daily_usage WITH (security_invoker = true) AS
SELECT
    d.day,
    r.billing_period,
    r.model_used,
    r.message_count,
    r.token_count,
    r.api_call_count,
    r.cost,
    r.user_count,
    r.prompt_token_count,
    r.completion_token_count,
    r.cached_prompt_token_count,
    r.cache_write_token_count,
    r.reasoning_token_count
FROM (
    SELECT date '2000-01-01' + n AS day, z.zone
    FROM (SELECT COALESCE((SELECT c.config_value #>> '{}' FROM claude_gpt_data.system_configs AS c
                           WHERE c.config_key = 'billing_timezone' AND c.is_active), 'UTC') AS zone) AS z
    CROSS JOIN generate_series(0, (CURRENT_TIMESTAMP AT TIME ZONE z.zone)::date - date '2000-01-01' + 1) AS n
) AS d
CROSS JOIN LATERAL (
    SELECT
        u.billing_period,
        u.model_used,
        COALESCE(sum(u.messages), 0) AS message_count,
        COALESCE(sum(u.tokens), 0) AS token_count,
        COALESCE(sum(u.api_calls), 0) AS api_call_count,
        sum(u.cost) AS cost,
        count(*) AS user_count,
        sum(u.prompt_tokens) AS prompt_token_count,
        sum(u.completion_tokens) AS completion_token_count,
        sum(u.cached_prompt_tokens) AS cached_prompt_token_count,
        sum(u.cache_write_tokens) AS cache_write_token_count,
        sum(u.reasoning_tokens) AS reasoning_token_count
    FROM (
        SELECT
            l.billing_period,
            l.model_used,
            sum(l.quantity) FILTER (WHERE l.usage_type = 'message') AS messages,
            sum(l.quantity) FILTER (WHERE l.usage_type = 'token') AS tokens,
            sum(l.quantity) FILTER (WHERE l.usage_type = 'api_call') AS api_calls,
            sum(l.cost) AS cost,
            sum(l.prompt_tokens) AS prompt_tokens,
            sum(l.completion_tokens) AS completion_tokens,
            sum(l.cached_prompt_tokens) AS cached_prompt_tokens,
            sum(l.cache_write_tokens) AS cache_write_tokens,
            sum(l.reasoning_tokens) AS reasoning_tokens
        FROM claude_gpt_data.usage_records AS l
        WHERE l.created_at >= (d.day::timestamp AT TIME ZONE d.zone) - interval '1 hour'
          AND l.created_at < ((d.day + 1)::timestamp AT TIME ZONE d.zone) + interval '1 hour'
          AND (l.created_at AT TIME ZONE d.zone)::date = d.day
        GROUP BY l.billing_period, l.model_used, l.user_id
    ) AS u
    GROUP BY u.billing_period, u.model_used
) AS r
UNION ALL
SELECT
    NULL::date,
    NULLIF(b.billing_period, '0001-01-01'),
    NULL::varchar(255),
    COALESCE(sum(b.quantity) FILTER (WHERE b.usage_type = 'message'), 0),
    COALESCE(sum(b.quantity) FILTER (WHERE b.usage_type = 'token'), 0),
    COALESCE(sum(b.quantity) FILTER (WHERE b.usage_type = 'api_call'), 0),
    sum(b.cost),
    count(DISTINCT b.user_id),
    NULL::numeric,
    NULL::numeric,
    NULL::numeric,
    NULL::numeric,
    NULL::numeric
FROM claude_gpt_data.usage_balances AS b
GROUP BY b.billing_period;
COMMENT ON VIEW claude_gpt_data.daily_usage IS
'The ledger by day and model. A condition on day reads these days alone. What the ledger holds no more, or never held, is known by month: rows of usage_balances, whose day is NULL, so that sums by billing_period are those of the counters. What is counted while the configuration "usage_ledger" is false is in no row before it is kept again.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.day IS
'The day in the time zone of the configuration "billing_timezone", from 2000-01-01 to tomorrow; NULL for what is known by month only.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.billing_period IS
'First day of the billing period whose counters hold it; NULL for the time before the ledger. A day that meets two has a row for each.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.model_used IS 'NULL where the record names none, or is known by month only.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.message_count IS 'Messages; token_count and api_call_count likewise.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.cost IS 'In the currency of your prices.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.user_count IS
'Users with a record of that day, month and model. A user of two models counts in both rows: not to be added up.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.prompt_token_count IS
'Tokens of prompts, the cached ones included; with completion_token_count those of token_count whose kind is known. NULL, as the next four, where none is.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.completion_token_count IS 'Tokens of completions, reasoning included.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.cached_prompt_token_count IS 'Of the prompts, what was read from a cache.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.cache_write_token_count IS 'Of the prompts, what was written to a cache.';
COMMENT ON COLUMN claude_gpt_data.daily_usage.reasoning_token_count IS 'Of the completions, what was thought and not said.';

-- One scan of users. The tier is the one that effective_tier says, by the same rules.
CREATE VIEW claude_gpt_data.plan_usage WITH (security_invoker = true) AS
SELECT
    t.tier,
    t.is_configured,
    t.user_count,
    t.active_user_count,
    l.limit_name,
    l.limit_value,
    l.used,
    round(l.used / NULLIF(t.active_user_count, 0), 9) AS average_used,
    l.near_limit_count,
    l.at_limit_count
FROM (
    WITH clock AS (
        SELECT m.moment,
               date_trunc('month', m.moment AT TIME ZONE COALESCE(m.zone, 'UTC'))::date AS month,
               (m.moment AT TIME ZONE COALESCE(m.zone, 'UTC'))::date AS today,
               -- A day of the grace has 24 hours.
               m.moment - extract(epoch FROM COALESCE(m.grace::interval, '3 days'))::double precision * interval '1 second' AS lapsed_before
        FROM (
            SELECT COALESCE(NULLIF(current_setting('claude_gpt.fixed_time', true), '')::timestamptz, clock_timestamp()) AS moment,
                   (SELECT c.config_value #>> '{}' FROM claude_gpt_data.system_configs AS c
                    WHERE c.config_key = 'billing_timezone' AND c.is_active) AS zone,
                   (SELECT c.config_value #>> '{}' FROM claude_gpt_data.system_configs AS c
                    WHERE c.config_key = 'subscription_grace' AND c.is_active) AS grace
        ) AS m
    ), plans AS (
        SELECT p.key AS tier, p.messages, ceil(p.messages * 0.8) AS near_messages, p.tokens, ceil(p.tokens * 0.8) AS near_tokens,
               p.api_calls, ceil(p.api_calls * 0.8) AS near_api_calls, p.cost, p.cost * 0.8 AS near_cost
        FROM (
            SELECT e.key,
                   NULLIF((e.value ->> 'messagesPerMonth')::numeric, -1) AS messages,
                   NULLIF((e.value ->> 'tokensPerMonth')::numeric, -1) AS tokens,
                   NULLIF((e.value ->> 'apiCallsPerMonth')::numeric, -1) AS api_calls,
                   NULLIF((e.value ->> 'costPerMonth')::numeric, -1) AS cost
            FROM claude_gpt_data.system_configs AS c CROSS JOIN jsonb_each(c.config_value) AS e
            WHERE c.config_key = 'subscription_plans' AND c.is_active
        ) AS p
    )
    SELECT COALESCE(p.tier, s.tier) AS tier, p.tier IS NOT NULL AS is_configured,
           COALESCE(s.users, 0) AS user_count, COALESCE(s.active_users, 0) AS active_user_count,
           p.messages AS message_limit, s.messages, s.near_messages, s.at_messages,
           p.tokens AS token_limit, s.tokens, s.near_tokens, s.at_tokens,
           p.api_calls AS api_call_limit, s.api_calls, s.near_api_calls, s.at_api_calls,
           p.cost AS cost_limit, s.cost, s.near_cost, s.at_cost
    FROM plans AS p
    FULL JOIN (
        SELECT u.tier, count(*) AS users,
               count(*) FILTER (WHERE u.messages > 0 OR u.tokens > 0 OR u.api_calls > 0 OR u.cost > 0) AS active_users,
               sum(u.messages) AS messages, sum(u.tokens) AS tokens, sum(u.api_calls) AS api_calls, sum(u.cost) AS cost,
               count(*) FILTER (WHERE q.messages > 0 AND u.messages >= q.near_messages) AS near_messages,
               count(*) FILTER (WHERE q.messages > 0 AND u.messages >= q.messages) AS at_messages,
               count(*) FILTER (WHERE q.tokens > 0 AND u.tokens >= q.near_tokens) AS near_tokens,
               count(*) FILTER (WHERE q.tokens > 0 AND u.tokens >= q.tokens) AS at_tokens,
               count(*) FILTER (WHERE q.api_calls > 0 AND u.api_calls >= q.near_api_calls) AS near_api_calls,
               count(*) FILTER (WHERE q.api_calls > 0 AND u.api_calls >= q.api_calls) AS at_api_calls,
               count(*) FILTER (WHERE q.cost > 0 AND u.cost >= q.near_cost) AS near_cost,
               count(*) FILTER (WHERE q.cost > 0 AND u.cost >= q.cost) AS at_cost
        FROM (
            SELECT CASE WHEN a.subscription_status = ANY ('{active,inactive,trialing,past_due}')
                         AND (a.subscription_current_period_end IS NULL
                              OR a.subscription_current_period_end
                                 >= CASE WHEN a.subscription_cancel_at_period_end THEN (SELECT k.moment FROM clock AS k)
                                         ELSE (SELECT k.lapsed_before FROM clock AS k) END)
                        THEN a.subscription_tier::text ELSE 'free' END AS tier,
                   CASE WHEN p.is_over THEN 0 ELSE a.monthly_message_count END AS messages,
                   CASE WHEN p.is_over THEN 0 ELSE a.monthly_token_count END AS tokens,
                   CASE WHEN p.is_over THEN 0 ELSE a.monthly_api_call_count END AS api_calls,
                   CASE WHEN p.is_over THEN 0 ELSE a.monthly_cost END AS cost
            FROM claude_gpt_data.users AS a
            CROSS JOIN LATERAL (
                SELECT COALESCE(a.billing_period_ends_on <= (SELECT k.today FROM clock AS k), a.monthly_reset_date < (SELECT k.month FROM clock AS k))
            ) AS p (is_over)
        ) AS u
        LEFT JOIN plans AS q ON q.tier = u.tier
        GROUP BY u.tier
    ) AS s ON s.tier = p.tier
) AS t
CROSS JOIN LATERAL (VALUES
    ('message', t.message_limit, COALESCE(t.messages::numeric, 0), COALESCE(t.near_messages, 0), COALESCE(t.at_messages, 0)),
    ('token', t.token_limit, COALESCE(t.tokens, 0), COALESCE(t.near_tokens, 0), COALESCE(t.at_tokens, 0)),
    ('api_call', t.api_call_limit, COALESCE(t.api_calls, 0), COALESCE(t.near_api_calls, 0), COALESCE(t.at_api_calls, 0)),
    ('cost', t.cost_limit, COALESCE(t.cost, 0), COALESCE(t.near_cost, 0), COALESCE(t.at_cost, 0))
) AS l (limit_name, limit_value, used, near_limit_count, at_limit_count);
COMMENT ON VIEW claude_gpt_data.plan_usage IS
'Each plan with its four limits, a row for each: what its users have used this month, and how many are near the limit or at it. Reads all users once.';
COMMENT ON COLUMN claude_gpt_data.plan_usage.tier IS
'The effective tier: a subscription that has lapsed counts as "free".';
COMMENT ON COLUMN claude_gpt_data.plan_usage.is_configured IS
'False for a tier that users have and the configuration "subscription_plans" has not: their calls are refused with 55000.';
COMMENT ON COLUMN claude_gpt_data.plan_usage.user_count IS 'Users of the plan: the same in its four rows.';
COMMENT ON COLUMN claude_gpt_data.plan_usage.active_user_count IS 'Those of them who have used anything this month.';
COMMENT ON COLUMN claude_gpt_data.plan_usage.limit_name IS '"message", "token", "api_call" or "cost".';
COMMENT ON COLUMN claude_gpt_data.plan_usage.limit_value IS 'Of each user in a month; NULL is unlimited. Cost is in the currency of your prices.';
COMMENT ON COLUMN claude_gpt_data.plan_usage.used IS 'By all users of the plan, each in his running billing period. Holds of open reservations do not count.';
COMMENT ON COLUMN claude_gpt_data.plan_usage.average_used IS 'By an active user; NULL where there is none.';
COMMENT ON COLUMN claude_gpt_data.plan_usage.near_limit_count IS
'Users who have used 80 % of the limit or more, those at the limit included. A limit of zero is near to nobody.';
COMMENT ON COLUMN claude_gpt_data.plan_usage.at_limit_count IS 'Users who have used the whole limit or more.';

CREATE VIEW claude_gpt_data.revenue_by_month WITH (security_invoker = true) AS
SELECT
    e.month,
    e.tier,
    e.currency,
    COALESCE(sum(e.amount) FILTER (WHERE e.is_paid), 0) AS revenue,
    count(*) FILTER (WHERE e.is_paid) AS paid_invoice_count,
    count(*) FILTER (WHERE e.event_type = 'payment_failed') AS failed_payment_count,
    count(*) FILTER (WHERE e.event_type = 'subscription_created') AS new_subscription_count,
    count(*) FILTER (WHERE e.event_type = 'subscription_cancelled') AS cancelled_subscription_count
FROM (
    SELECT date_trunc('month', h.created_at AT TIME ZONE COALESCE(
               (SELECT c.config_value #>> '{}' FROM claude_gpt_data.system_configs AS c
                WHERE c.config_key = 'billing_timezone' AND c.is_active), 'UTC'))::date AS month,
           h.subscription_tier::text AS tier,
           -- Events without an amount have the default of the column, which says nothing.
           CASE WHEN h.amount IS NOT NULL THEN h.currency END AS currency,
           h.amount, h.event_type, h.event_type = 'payment_succeeded' AS is_paid
    FROM claude_gpt_data.subscription_history AS h
    WHERE h.event_type = ANY ('{payment_succeeded,payment_failed,subscription_created,subscription_cancelled}')
      -- Payment services tell an event again when they are not sure that it was heard.
      AND NOT EXISTS (SELECT FROM claude_gpt_data.subscription_history AS f
                      WHERE f.stripe_invoice_id = h.stripe_invoice_id
                        AND f.event_type = 'payment_succeeded' AND h.event_type = 'payment_succeeded'
                        AND (f.created_at, f.id) < (h.created_at, h.id))
) AS e
GROUP BY e.month, e.tier, e.currency;
COMMENT ON VIEW claude_gpt_data.revenue_by_month IS
'What was paid, and which subscriptions began and ended, by month, tier and currency: the events of subscription_history. An invoice that is paid twice there counts once, with its first event. Reads the whole history.';
COMMENT ON COLUMN claude_gpt_data.revenue_by_month.month IS 'First day of the month of the event in the time zone of the configuration "billing_timezone".';
COMMENT ON COLUMN claude_gpt_data.revenue_by_month.tier IS 'As the event says it.';
COMMENT ON COLUMN claude_gpt_data.revenue_by_month.currency IS 'NULL for events without an amount.';
COMMENT ON COLUMN claude_gpt_data.revenue_by_month.revenue IS 'Sum of the amounts of payment_succeeded.';
COMMENT ON COLUMN claude_gpt_data.revenue_by_month.paid_invoice_count IS 'Invoices paid; payments without a stripe_invoice_id count each.';
COMMENT ON COLUMN claude_gpt_data.revenue_by_month.failed_payment_count IS 'Events payment_failed: each attempt.';
COMMENT ON COLUMN claude_gpt_data.revenue_by_month.new_subscription_count IS 'Events subscription_created.';
COMMENT ON COLUMN claude_gpt_data.revenue_by_month.cancelled_subscription_count IS 'Events subscription_cancelled.';
