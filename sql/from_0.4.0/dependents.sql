-- What stands in the way of convert.sql, for what depends on a column may not depend on it while its type changes: who owns it,
-- the statement that takes it away, and those that make it again as it is. Nearest to the columns first.
WITH RECURSIVE changed AS (
    SELECT DISTINCT a.attrelid, a.attnum
    FROM (VALUES
        ('users', '{password_hash,full_name,phone,preferred_language,theme_preference,stripe_customer_id,subscription_id,subscription_tier,email_verification_token,password_reset_token,next_hold_expiry}'::text[]),
        ('conversations', '{title}'), ('messages', '{model_used}'), ('usage_records', '{model_used}'), ('usage_reservations', '{model_used}'),
        ('idempotency_keys', '{fingerprint}'), ('subscription_history', '{subscription_tier,stripe_subscription_id,stripe_invoice_id,amount}'),
        ('user_sessions', '{session_token,refresh_token,device_id,device_type,device_name,app_version}'),
        ('audit_logs', '{action,resource_type,resource_id,request_id}'), ('application_grants', '{role_name}')
    ) AS v (name, columns)
    JOIN pg_class AS c ON c.relnamespace = 'claude_gpt_data'::regnamespace AND c.relname = v.name
    CROSS JOIN LATERAL (SELECT c.oid UNION SELECT t.relid FROM pg_partition_tree(c.oid) AS t) AS m (oid)
    JOIN pg_attribute AS a ON a.attrelid = m.oid AND a.attname = ANY (v.columns) AND NOT a.attisdropped
),
-- Our views are made again from the migrations.
ours AS (
    SELECT c.oid FROM pg_class AS c
    WHERE c.relnamespace = 'claude_gpt_data'::regnamespace AND c.relkind = 'v'
      AND c.relname = ANY ('{conversation_summary,user_statistics,job_status,active_connections,slow_queries,table_sizes,index_usage,daily_usage,plan_usage,revenue_by_month}')
),
rules (rule, relation, depth) AS (
    SELECT r.oid, r.ev_class, 1 FROM pg_rewrite AS r
    WHERE r.ev_class IN (SELECT oid FROM ours) AND r.rulename = '_RETURN'
       OR r.oid IN (SELECT d.objid FROM pg_depend AS d JOIN changed AS c ON d.refobjid = c.attrelid AND d.refobjsubid = c.attnum
                    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass)
    UNION
    SELECT r.oid, r.ev_class, p.depth + 1
    FROM rules AS p
    JOIN pg_class AS v ON v.oid = p.relation AND v.relkind IN ('v', 'm')
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid
    JOIN pg_rewrite AS r ON r.oid = d.objid AND r.ev_class <> v.oid
),
views AS (
    SELECT c.oid, c.relkind, c.relowner, c.relacl, c.reloptions, c.relispopulated, c.reltablespace, c.relam, r.depth,
           format('%I.%I', n.nspname, c.relname) AS name, CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS kind,
           c.oid IN (SELECT oid FROM ours) AS is_ours
    FROM (SELECT relation, max(depth) AS depth FROM rules GROUP BY relation) AS r
    JOIN pg_class AS c ON c.oid = r.relation AND c.relkind IN ('v', 'm')
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
),
grants AS (
    SELECT c.oid, 0 AS place, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS role,
           a.privilege_type AS privilege, a.is_grantable
    FROM views AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
    UNION ALL
    SELECT c.oid, 1, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, format('%s (%I)', a.privilege_type, t.attname), a.is_grantable
    FROM views AS c JOIN pg_attribute AS t ON t.attrelid = c.oid AND NOT t.attisdropped CROSS JOIN LATERAL aclexplode(t.attacl) AS a
),
-- Each part of a view by itself: place tells the order.
parts (oid, place, statement) AS (
    SELECT v.oid, 0, format('CREATE %s %s%s%s%s AS %s%s', v.kind, v.name, ' USING ' || quote_ident(m.amname),
                            ' WITH (' || array_to_string(v.reloptions, ', ') || ')', ' TABLESPACE ' || quote_ident(s.spcname),
                            rtrim(pg_get_viewdef(v.oid), ';'), CASE WHEN v.relkind = 'm' AND NOT v.relispopulated THEN ' WITH NO DATA' END)
    FROM views AS v LEFT JOIN pg_am AS m ON m.oid = v.relam LEFT JOIN pg_tablespace AS s ON s.oid = v.reltablespace WHERE NOT v.is_ours
    UNION ALL
    SELECT v.oid, 1, pg_get_indexdef(i.indexrelid) FROM views AS v JOIN pg_index AS i ON i.indrelid = v.oid
    UNION ALL
    SELECT v.oid, 2, format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', v.name, a.attname, pg_get_expr(d.adbin, d.adrelid))
    FROM views AS v JOIN pg_attrdef AS d ON d.adrelid = v.oid JOIN pg_attribute AS a ON a.attrelid = v.oid AND a.attnum = d.adnum
    UNION ALL
    SELECT v.oid, 3, pg_get_ruledef(r.oid) FROM views AS v JOIN pg_rewrite AS r ON r.ev_class = v.oid AND r.rulename <> '_RETURN'
    UNION ALL
    SELECT v.oid, 4, pg_get_triggerdef(t.oid) FROM views AS v JOIN pg_trigger AS t ON t.tgrelid = v.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT v.oid, 5, format('COMMENT ON %s %s IS %L', v.kind, v.name, d.description)
    FROM views AS v JOIN pg_description AS d ON d.classoid = 'pg_class'::regclass AND d.objoid = v.oid AND d.objsubid = 0 WHERE NOT v.is_ours
    UNION ALL
    SELECT v.oid, 5, format('COMMENT ON COLUMN %s.%I IS %L', v.name, a.attname, d.description)
    FROM views AS v JOIN pg_description AS d ON d.classoid = 'pg_class'::regclass AND d.objoid = v.oid
    JOIN pg_attribute AS a ON a.attrelid = v.oid AND a.attnum = d.objsubid AND a.attnum > 0 WHERE NOT v.is_ours
    UNION ALL
    -- Of default privileges that were given since, and of the owner, who may have taken rights from himself.
    SELECT v.oid, 6, format('REVOKE ALL ON %s FROM PUBLIC, %s', v.name, v.relowner::regrole) FROM views AS v WHERE v.relacl IS NOT NULL AND NOT v.is_ours
    UNION ALL
    SELECT v.oid, 7, format('GRANT %s ON %s TO %s%s', g.privilege, v.name, g.role, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END)
    FROM views AS v JOIN grants AS g ON g.oid = v.oid
)
SELECT v.relowner::int8 AS owner, v.depth AS depth, format('DROP %s %s', v.kind, v.name) AS taking,
       (SELECT string_agg(p.statement, E';\n' ORDER BY p.place, p.statement) FROM parts AS p WHERE p.oid = v.oid) AS making
FROM views AS v
UNION ALL
-- Rules of tables.
SELECT c.relowner::int8, 1000 + max(r.depth), format('DROP RULE %I ON %s', w.rulename, c.oid::regclass),
       pg_get_ruledef(w.oid) || CASE w.ev_enabled WHEN 'O' THEN '' ELSE format(E'\nALTER TABLE %s %s RULE %I', c.oid::regclass,
           CASE w.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, w.rulename) END
FROM rules AS r JOIN pg_rewrite AS w ON w.oid = r.rule JOIN pg_class AS c ON c.oid = w.ev_class AND c.relkind IN ('r', 'p')
GROUP BY w.oid, w.rulename, w.ev_enabled, c.oid, c.relowner
UNION ALL
-- Policies that look at such a column, or at a view of the above.
SELECT c.relowner::int8, 1000, format('DROP POLICY %I ON %s', p.polname, c.oid::regclass),
       format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, c.oid::regclass, CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
              CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
              (SELECT string_agg(CASE WHEN o = 0 THEN 'PUBLIC' ELSE o::regrole::text END, ', ') FROM unnest(p.polroles) AS o),
              ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
       || COALESCE(format(E';\nCOMMENT ON POLICY %I ON %s IS %L', p.polname, c.oid::regclass, obj_description(p.oid, 'pg_policy')), '')
FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
WHERE EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass
              AND ((d.refobjid, d.refobjsubid) IN (SELECT h.attrelid, h.attnum FROM changed AS h) OR d.refobjid IN (SELECT v.oid FROM views AS v)))
UNION ALL
-- Triggers for such a column; those of claude_gpt are made again by attach.sql.
SELECT c.relowner::int8, 1000, format('DROP TRIGGER %I ON %s', t.tgname, c.oid::regclass),
       pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE format(E';\nALTER TABLE %s %s TRIGGER %I', c.oid::regclass,
           CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, t.tgname) END
       || COALESCE(format(E';\nCOMMENT ON TRIGGER %I ON %s IS %L', t.tgname, c.oid::regclass, obj_description(t.oid, 'pg_trigger')), '')
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid AND c.relkind IN ('r', 'p')
WHERE NOT t.tgisinternal AND t.tgparentid = 0
  AND t.tgname NOT IN ('check_users', 'notify_changed_users')
  AND EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.refclassid = 'pg_class'::regclass
              AND (d.refobjid, d.refobjsubid) IN (SELECT h.attrelid, h.attnum FROM changed AS h))
ORDER BY depth
