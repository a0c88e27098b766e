-- Topic schema: the tables and their migrations.

-- Levels: none
CREATE PROCEDURE claude_gpt.migrate()
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_migrate';
COMMENT ON PROCEDURE claude_gpt.migrate() IS
'Brings the tables to what the installed code needs: runs the migrations that are missing, in order, then attaches triggers, defaults and views to the code and applies recorded grants again. Does nothing where nothing is missing. Runs with the rights of the owner of the tables. Locks: the schema against another migrate(), and for a moment ACCESS EXCLUSIVE on all views and tables, taken at once. Errors: 42501 if the caller has not the rights of the owner; 55000 naming what lies in the schemas of the code and is not of the extension, or who may create there and is no superuser.';

-- Levels: none
CREATE FUNCTION claude_gpt.update_updated_at_column() RETURNS trigger
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'claude_gpt_update_updated_at_column';
COMMENT ON FUNCTION claude_gpt.update_updated_at_column() IS
'Trigger function: sets updated_at to CURRENT_TIMESTAMP. For BEFORE UPDATE row triggers on any table with such a column. With two arguments, a date column and a timestamptz column, it also keeps the first equal to the UTC day of the second, and may then be called before INSERT too, where it leaves updated_at alone. Errors: 39P01 if called otherwise; 42703 if the table has no such column.';

-- Levels: none
CREATE PROCEDURE claude_gpt.adopt_schema(p_schema name, p_time_zone text DEFAULT 'UTC', INOUT p_report jsonb DEFAULT NULL)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- In the order of their foreign keys.
    tables CONSTANT text[] := ARRAY['users', 'system_configs', 'conversations', 'messages', 'usage_records',
                                    'subscription_history', 'user_sessions', 'audit_logs'];
    views CONSTANT text[] := ARRAY['user_statistics', 'conversation_summary'];
    routines CONSTANT text[] := ARRAY['update_user_usage(uuid,integer,integer,numeric)',
                                      'check_subscription_limit(uuid,character varying)', 'cleanup_expired_sessions()',
                                      'update_updated_at_column()'];
    plans jsonb;
    billing_timezone text;
    retired name;
    name text;
    names text[];
    part record;
    targets text;
    sources text;
    replaced text;
    nulls_replaced bigint;
    copied bigint;
    references_to_us record;
BEGIN
    IF p_schema IS NULL OR p_time_zone IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'p_schema and p_time_zone must not be null';
    END IF;
    IF p_schema = 'claude_gpt' OR to_regnamespace(quote_ident(p_schema)) IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format('schema "%s" cannot be adopted', p_schema),
            DETAIL = 'It must exist and be another than claude_gpt.';
    END IF;
    PERFORM CURRENT_TIMESTAMP AT TIME ZONE p_time_zone;  -- 22023 for an unknown zone
    PERFORM claude_gpt.current_billing_period();         -- 55000 unless our tables are ready

    SELECT array_agg(t) INTO names FROM unnest(tables) AS t WHERE to_regclass(format('%I.%I', p_schema, t)) IS NULL;
    IF names IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('schema "%s" does not hold the tables to adopt', p_schema),
            DETAIL = format('Missing: %s.', array_to_string(names, ', '));
    END IF;
    SELECT string_agg(n.nspname, ', ') INTO name FROM pg_namespace AS n
    JOIN pg_roles AS r ON r.oid = CASE n.nspowner WHEN 'pg_database_owner'::regrole THEN (SELECT d.datdba FROM pg_database AS d WHERE d.datname = current_database()) ELSE n.nspowner END
    WHERE n.nspname IN (p_schema, 'claude_gpt_data') AND NOT claude_gpt_internal.is_superuser(r.oid);
    IF name IS NOT NULL AND claude_gpt_internal.is_superuser(current_user::regrole) THEN
        -- He may rename it under us, and put other tables in its place.
        RAISE insufficient_privilege USING MESSAGE = 'a superuser cannot adopt tables of a role that is none',
            DETAIL = format('Schema %s belongs to such a role.', name),
            HINT = 'Hand the tables of claude_gpt to the owner of the old ones with set_owner, and connect as that role.';
    END IF;
    PERFORM claude_gpt_internal.lock_trusted_tables(ARRAY(SELECT to_regclass(format('%I.%I', s, t)) FROM unnest(tables) AS t, unnest(ARRAY[p_schema, 'claude_gpt_data']) AS s), 'adopt');
    SELECT array_agg(t) INTO names FROM unnest(tables) AS t JOIN pg_class AS c ON c.oid = to_regclass(format('%I.%I', p_schema, t))
    WHERE c.relkind <> 'r';
    IF names IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('schema "%s" does not hold the tables to adopt', p_schema),
            DETAIL = format('Not plain tables: %s.', array_to_string(names, ', '));
    END IF;
    -- What points at a table by a key that its partitioned successor does not have.
    SELECT array_agg(k.conrelid::regclass::text || '.' || k.conname) INTO names
    FROM pg_constraint AS k
    WHERE k.contype = 'f' AND k.confrelid IN (to_regclass(format('%I.usage_records', p_schema)),
                                              to_regclass(format('%I.audit_logs', p_schema)));
    IF names IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'foreign keys to usage_records and audit_logs cannot be kept',
            DETAIL = format('Both are partitioned, and have no key over id alone. Foreign keys: %s.', array_to_string(names, ', ')),
            HINT = 'Drop them first.';
    END IF;

    FOREACH name IN ARRAY tables LOOP
        IF name <> 'system_configs' THEN
            EXECUTE format('SELECT count(*) FROM (SELECT FROM claude_gpt_data.%I LIMIT 1) AS r', name) INTO copied;
            IF copied > 0 THEN
                RAISE object_not_in_prerequisite_state USING MESSAGE = format('table "claude_gpt_data.%s" is not empty', name),
                    HINT = 'Adopt before the first user signs up.';
            END IF;
        END IF;
    END LOOP;
    -- The plans that will be in force: the source's where it has the row.
    EXECUTE format('SELECT (SELECT CASE WHEN COALESCE((to_jsonb(s) ->> ''is_active'')::boolean, true) THEN to_jsonb(s) -> ''config_value'' ELSE ''{}'' END FROM %I.system_configs AS s WHERE s.config_key = ''subscription_plans'')', p_schema)
    INTO plans;
    plans := COALESCE(plans, (SELECT c.config_value FROM claude_gpt_data.system_configs AS c WHERE c.config_key = 'subscription_plans' AND c.is_active), '{}');
    EXECUTE format('SELECT array_agg(format(''%%s (%%s users)'', t.tier, t.users) ORDER BY t.tier) FROM (SELECT COALESCE(to_jsonb(s) ->> ''subscription_tier'', ''free'') AS tier, count(*) AS users FROM %I.users AS s GROUP BY 1) AS t WHERE NOT $1 ? t.tier', p_schema)
    INTO names USING plans;
    IF names IS NOT NULL THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('users of schema "%s" have plans that are not configured', p_schema),
            DETAIL = format('Not in the configuration "subscription_plans": %s.', array_to_string(names, ', ')),
            HINT = 'Add the plans to the row, or give the users others.';
    END IF;

    retired := (left(p_schema::text, 45) || '_before_claude_gpt')::name;
    EXECUTE format('CREATE SCHEMA %I', retired);
    p_report := '{}';

    -- Its users come before its plans, which were compared above.
    ALTER TABLE claude_gpt_data.users DISABLE TRIGGER require_users_plan;
    ALTER TABLE claude_gpt_data.system_configs DISABLE TRIGGER keep_plans_in_use;
    -- The source's rows decide; keys it does not have keep our initial rows.
    EXECUTE format('DELETE FROM claude_gpt_data.system_configs AS ours USING %I.system_configs AS theirs WHERE theirs.config_key = ours.config_key', p_schema);
    -- Adopting changes no row's updated_at, although the counters are computed anew.
    ALTER TABLE claude_gpt_data.conversations DISABLE TRIGGER update_conversations_updated_at;

    FOREACH name IN ARRAY tables LOOP
        names := ARRAY[]::text[];
        FOR part IN
            SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, pg_get_expr(d.adbin, d.adrelid) AS default_value
            FROM pg_attribute AS a
            LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated = ''
            WHERE a.attrelid = to_regclass(format('%I.%I', p_schema, name)) AND a.attnum > 0 AND NOT a.attisdropped
              AND NOT EXISTS (SELECT FROM pg_attribute AS ours WHERE ours.attrelid = to_regclass(format('claude_gpt_data.%I', name))
                              AND ours.attname = a.attname AND NOT ours.attisdropped)
            ORDER BY a.attnum
        LOOP
            EXECUTE format('ALTER TABLE claude_gpt_data.%I ADD COLUMN %I %s', name, part.attname, part.type);
            IF part.default_value IS NOT NULL THEN
                EXECUTE format('ALTER TABLE claude_gpt_data.%I ALTER COLUMN %I SET DEFAULT %s', name, part.attname, part.default_value);
            END IF;
            names := names || part.attname::text;
        END LOOP;

        SELECT string_agg(quote_ident(c.attname), ', ' ORDER BY c.attnum),
               string_agg(CASE WHEN c.is_nullable AND c.default_value IS NOT NULL
                               THEN format('COALESCE(%s, %s)', c.expression, c.default_value) ELSE c.expression END,
                          ', ' ORDER BY c.attnum),
               string_agg(format('count(*) FILTER (WHERE s.%I IS NULL)', c.attname), ' + ')
                   FILTER (WHERE c.is_nullable AND c.default_value IS NOT NULL)
        INTO targets, sources, replaced
        FROM (
            SELECT ours.attnum, ours.attname,
                   ours.attnotnull AND NOT theirs.attnotnull AS is_nullable,
                   pg_get_expr(d.adbin, d.adrelid) AS default_value,
                   CASE WHEN theirs.atttypid = 'timestamp'::regtype AND ours.atttypid = 'timestamptz'::regtype
                        THEN format('s.%I AT TIME ZONE %L', ours.attname, p_time_zone)
                        -- The first day of the period that its records name.
                        WHEN name = 'users' AND ours.attname = 'monthly_reset_date' THEN 'date_trunc(''month'', s.monthly_reset_date::timestamp)::date'
                        ELSE format('s.%I', ours.attname) END AS expression
            FROM pg_attribute AS ours
            JOIN pg_attribute AS theirs ON theirs.attrelid = to_regclass(format('%I.%I', p_schema, name))
                AND theirs.attname = ours.attname AND NOT theirs.attisdropped
            LEFT JOIN pg_attrdef AS d ON d.adrelid = ours.attrelid AND d.adnum = ours.attnum
            WHERE ours.attrelid = to_regclass(format('claude_gpt_data.%I', name)) AND ours.attnum > 0 AND NOT ours.attisdropped
              AND ours.attgenerated = ''
              -- Counted from the messages as they arrive.
              AND NOT (name = 'conversations' AND ours.attname IN ('message_count', 'total_tokens', 'total_cost', 'last_message_at'))
        ) AS c;
        IF name = 'conversations' THEN
            targets := targets || ', last_message_at';
            sources := sources || format(', COALESCE(s.created_at AT TIME ZONE %L, CURRENT_TIMESTAMP)', p_time_zone);
        ELSIF name = 'usage_records' THEN
            billing_timezone := (SELECT COALESCE((SELECT c.config_value #>> '{}' FROM claude_gpt_data.system_configs AS c
                                                  WHERE c.config_key = 'billing_timezone' AND c.is_active), 'UTC'));
            targets := targets || ', billing_period';
            sources := sources || format(', date_trunc(''month'', COALESCE(s.created_at AT TIME ZONE %L, CURRENT_TIMESTAMP) AT TIME ZONE %L)::date',
                                         p_time_zone, billing_timezone);
        END IF;

        EXECUTE format('INSERT INTO claude_gpt_data.%I (%s) SELECT %s FROM %I.%I AS s', name, targets, sources, p_schema, name);
        GET DIAGNOSTICS copied = ROW_COUNT;
        EXECUTE format('SELECT %s FROM %I.%I AS s', COALESCE(replaced, '0'), p_schema, name) INTO nulls_replaced;
        p_report := p_report || jsonb_build_object(name, jsonb_build_object(
            'rows', copied, 'nulls_replaced', nulls_replaced, 'columns_added', to_jsonb(names)));
        RAISE NOTICE 'adopted table "%": % rows, % NULL values replaced by defaults%', name, copied, nulls_replaced,
            CASE WHEN names = ARRAY[]::text[] THEN '' ELSE format(', columns added: %s', array_to_string(names, ', ')) END;
    END LOOP;
    UPDATE claude_gpt_data.conversations SET last_message_on = (last_message_at AT TIME ZONE 'UTC')::date;
    ALTER TABLE claude_gpt_data.conversations ENABLE TRIGGER update_conversations_updated_at;
    ALTER TABLE claude_gpt_data.users ENABLE TRIGGER require_users_plan;
    ALTER TABLE claude_gpt_data.system_configs ENABLE TRIGGER keep_plans_in_use;

    -- The source counted messages alone: what it did not count is summed from its ledger, and what its
    -- counters hold beyond the ledger is carried as an opening balance.
    ALTER TABLE claude_gpt_data.users DISABLE TRIGGER update_users_updated_at;
    UPDATE claude_gpt_data.users AS u SET
        monthly_token_count = l.month_tokens, total_token_count = l.tokens,
        monthly_api_call_count = l.month_calls, total_api_call_count = l.calls,
        monthly_cost = l.month_cost, total_cost = l.cost
    FROM (
        SELECT r.user_id,
               COALESCE(sum(r.quantity) FILTER (WHERE r.usage_type = 'token'), 0) AS tokens,
               COALESCE(sum(r.quantity) FILTER (WHERE r.usage_type = 'token' AND r.billing_period = v.monthly_reset_date), 0) AS month_tokens,
               COALESCE(sum(r.quantity) FILTER (WHERE r.usage_type = 'api_call'), 0) AS calls,
               COALESCE(sum(r.quantity) FILTER (WHERE r.usage_type = 'api_call' AND r.billing_period = v.monthly_reset_date), 0) AS month_calls,
               COALESCE(sum(r.cost), 0) AS cost,
               COALESCE(sum(r.cost) FILTER (WHERE r.billing_period = v.monthly_reset_date), 0) AS month_cost
        FROM claude_gpt_data.usage_records AS r JOIN claude_gpt_data.users AS v ON v.id = r.user_id
        GROUP BY r.user_id
    ) AS l
    WHERE l.user_id = u.id;
    ALTER TABLE claude_gpt_data.users ENABLE TRIGGER update_users_updated_at;

    INSERT INTO claude_gpt_data.usage_balances (user_id, usage_type, billing_period, quantity)
    SELECT b.id, 'message', b.billing_period, b.quantity
    FROM (
        SELECT u.id, p.billing_period,
               p.counted - COALESCE((SELECT sum(r.quantity) FROM claude_gpt_data.usage_records AS r
                                     WHERE r.user_id = u.id AND r.usage_type = 'message'
                                       AND (r.billing_period = u.monthly_reset_date) = p.is_month), 0) AS quantity
        FROM claude_gpt_data.users AS u
        CROSS JOIN LATERAL (VALUES
            (u.monthly_reset_date, true, u.monthly_message_count),
            ('0001-01-01'::date, false, u.total_message_count - u.monthly_message_count)
        ) AS p (billing_period, is_month, counted)
    ) AS b
    WHERE b.quantity <> 0;
    GET DIAGNOSTICS copied = ROW_COUNT;
    p_report := p_report || jsonb_build_object('usage_balances', jsonb_build_object('rows', copied));
    RAISE NOTICE 'opened % usage balances', copied;

    -- Foreign keys of other tables follow; the rest of what hangs on the old tables is named.
    FOR references_to_us IN
        SELECT k.conrelid::regclass AS referrer, k.conname, c.relname, pg_get_constraintdef(k.oid) AS definition
        FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.confrelid
        WHERE k.contype = 'f' AND k.conparentid = 0
          AND k.confrelid IN (SELECT to_regclass(format('%I.%I', p_schema, t)) FROM unnest(tables) AS t)
          AND k.conrelid NOT IN (SELECT to_regclass(format('%I.%I', p_schema, t)) FROM unnest(tables) AS t)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', references_to_us.referrer, references_to_us.conname);
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s', references_to_us.referrer, references_to_us.conname,
                       replace(references_to_us.definition, format(' REFERENCES %I.%I(', p_schema, references_to_us.relname),
                               format(' REFERENCES claude_gpt_data.%I(', references_to_us.relname)));
        RAISE NOTICE 'foreign key "%" of table % now references claude_gpt_data.%', references_to_us.conname,
            references_to_us.referrer, references_to_us.relname;
    END LOOP;
    FOR part IN
        WITH adopted AS (SELECT to_regclass(format('%I.%I', p_schema, t)) AS relation, t AS relname FROM unnest(tables) AS t)
        SELECT DISTINCT format('view %s', v.oid::regclass) AS object
        FROM pg_rewrite AS w
        JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
        JOIN pg_class AS v ON v.oid = w.ev_class AND v.relkind IN ('v', 'm')
        WHERE (d.refobjid IN (SELECT relation FROM adopted)
               OR d.refobjid IN (SELECT to_regclass(format('%I.%I', p_schema, t)) FROM unnest(views) AS t))
          AND v.oid <> d.refobjid
          AND NOT (v.relnamespace = to_regnamespace(quote_ident(p_schema)) AND v.relname = ANY (views))
        UNION ALL
        SELECT format('index %s', i.indexrelid::regclass)
        FROM adopted AS t JOIN pg_index AS i ON i.indrelid = t.relation JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.conrelid = t.relation)
          AND c.relname <> 'idx_messages_conversation_created'  -- the source's second name for one of ours
          AND to_regclass(format('claude_gpt_data.%I', c.relname)) IS NULL
        UNION ALL
        SELECT format('trigger %I on %s', g.tgname, t.relation)
        FROM adopted AS t JOIN pg_trigger AS g ON g.tgrelid = t.relation
        WHERE NOT g.tgisinternal
          AND NOT EXISTS (SELECT FROM pg_trigger AS ours WHERE ours.tgname = g.tgname
                          AND ours.tgrelid = to_regclass(format('claude_gpt_data.%I', t.relname)))
        UNION ALL
        SELECT format('policy %I on %s', y.polname, t.relation)
        FROM adopted AS t JOIN pg_policy AS y ON y.polrelid = t.relation
        ORDER BY 1
    LOOP
        p_report := jsonb_set(p_report, '{left_behind}', COALESCE(p_report -> 'left_behind', '[]') || to_jsonb(part.object));
        RAISE WARNING '% belongs to the tables that were adopted', part.object USING HINT = 'Create it again for those of claude_gpt_data.';
    END LOOP;

    FOREACH name IN ARRAY tables LOOP
        EXECUTE format('ALTER TABLE %I.%I SET SCHEMA %I', p_schema, name, retired);
    END LOOP;
    FOREACH name IN ARRAY views LOOP
        EXECUTE format('ALTER VIEW IF EXISTS %I.%I SET SCHEMA %I', p_schema, name, retired);
    END LOOP;
    FOREACH name IN ARRAY routines LOOP
        IF to_regprocedure(format('%I.%s', p_schema, name)) IS NOT NULL THEN
            EXECUTE format('ALTER FUNCTION %I.%s SET SCHEMA %I', p_schema, name, retired);
        END IF;
    END LOOP;
    FOREACH name IN ARRAY tables || 'usage_balances'::text LOOP
        EXECUTE format('ANALYZE claude_gpt_data.%I', name);
    END LOOP;
    RAISE NOTICE 'the adopted tables, views and functions are kept as they were in schema "%"', retired
        USING HINT = format('When you are satisfied: DROP SCHEMA %I CASCADE.', retired);
END
$$;
COMMENT ON PROCEDURE claude_gpt.adopt_schema(name, text, jsonb) IS
'Takes over a database that was built by the script this design grew from: copies the eight tables of a schema into those of claude_gpt, reading timestamps without a zone as local to p_time_zone, replaces NULL counters by their defaults, adds columns that are not known, counts conversations anew, opens balances for what the counters hold beyond the ledger, points foreign keys of other tables at the new ones, and moves the old tables, views and functions unchanged to the schema "<p_schema>_before_claude_gpt". Reports a notice for each table, and all of it in p_report. One transaction; needs space for a second copy. Errors: 22004 NULL; 22023 no such schema or zone; 55000 tables missing, ours not empty, foreign keys to usage_records or audit_logs, or users of plans that are not configured; 42501 a superuser over tables or schemas of a role that is none, on either side; 55000 under REPEATABLE READ or SERIALIZABLE; and those of the constraints, for rows that break them. Locks: ACCESS EXCLUSIVE on both sets of tables, before their owners are looked at.';

-- Levels: none
CREATE FUNCTION claude_gpt.detach() RETURNS void
    LANGUAGE plpgsql VOLATILE
    SET search_path = pg_catalog, pg_temp
    -- It looks for names in what the server prints.
    SET quote_all_identifiers = off
AS $$
DECLARE
    part record;
    rule text;
    checked text;
    condition text;
    tables regclass[];
BEGIN
    -- A new CHECK reads the rows, and with them casts and operators of the column's type, which are its owner's. What comes to
    -- call us after this look is not locked, and left alone.
    SELECT array_agg(r.relation) INTO tables
    FROM (SELECT 'claude_gpt_data.users'::regclass AS relation
          UNION
          SELECT COALESCE(t.tgrelid, a.adrelid)::regclass FROM pg_depend AS d
          JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'claude_gpt'
          JOIN pg_depend AS x ON x.refclassid = 'pg_proc'::regclass AND x.refobjid = d.objid
          LEFT JOIN pg_trigger AS t ON x.classid = 'pg_trigger'::regclass AND t.oid = x.objid AND t.tgparentid = 0
          LEFT JOIN pg_attrdef AS a ON x.classid = 'pg_attrdef'::regclass AND a.oid = x.objid
          WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND COALESCE(t.tgrelid, a.adrelid) IS NOT NULL) AS r;
    PERFORM claude_gpt_internal.lock_trusted_tables(tables, 'detach');
    PERFORM claude_gpt_internal.require_column_types();
    FOR part IN
        SELECT DISTINCT d.adrelid::regclass AS relation, a.attname,
               CASE p.proname WHEN 'uuid_v7' THEN 'gen_random_uuid()' ELSE 'CURRENT_DATE' END AS plain
        FROM pg_depend AS x
        JOIN pg_proc AS p ON p.oid = x.refobjid AND p.pronamespace IN ('claude_gpt'::regnamespace, 'claude_gpt_internal'::regnamespace)
            AND p.proname IN ('uuid_v7', 'current_billing_period')
        JOIN pg_attrdef AS d ON d.oid = x.objid
        JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
        WHERE x.classid = 'pg_attrdef'::regclass AND x.refclassid = 'pg_proc'::regclass AND d.adrelid = ANY (tables)
    LOOP
        EXECUTE format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT %s', part.relation, part.attname, part.plain);
    END LOOP;

    PERFORM claude_gpt_internal.create_detached_functions();
    FOR part IN
        SELECT t.tgname, t.tgrelid::regclass AS relation, p.proname AS function_name,
               CASE WHEN t.tgtype::integer & 4 <> 0 THEN 'INSERT' ELSE 'UPDATE' END AS event,
               (string_to_array(encode(t.tgargs, 'escape'), E'\\000'))[1:t.tgnargs] AS arguments
        FROM pg_trigger AS t JOIN pg_proc AS p ON p.oid = t.tgfoid
        JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = t.tgfoid AND d.deptype = 'e'
        JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'claude_gpt'
        WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgrelid = ANY (tables)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', part.tgname, part.relation);
        FOREACH rule IN ARRAY CASE WHEN part.function_name = 'enforce_column_rules' THEN part.arguments ELSE '{}' END LOOP
            checked := split_part(rule, ' ', 1);
            condition := CASE WHEN rule LIKE '%not negative' THEN format('%I >= 0', checked)
                              WHEN rule LIKE '% not empty' THEN format('%I <> %L', checked, '')
                              WHEN rule LIKE '% in %' THEN format('%I = ANY (%L)', checked, string_to_array(split_part(rule, ' in ', 2), ' '))
                         END;
            IF condition IS NOT NULL THEN
                EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s)', part.relation, 'detached_' || checked || '_check', condition);
            END IF;
        END LOOP;
        IF part.function_name = 'update_updated_at_column' THEN
            EXECUTE format('CREATE TRIGGER %I BEFORE %s ON %s FOR EACH ROW EXECUTE FUNCTION claude_gpt_data.detached_updated_at()',
                           part.tgname, part.event, part.relation);
        END IF;
    END LOOP;
    CREATE OR REPLACE TRIGGER count_inserted_messages AFTER INSERT ON claude_gpt_data.messages REFERENCING NEW TABLE AS new_messages
        FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_data.detached_counters();
    CREATE OR REPLACE TRIGGER count_updated_messages AFTER UPDATE ON claude_gpt_data.messages
        REFERENCING OLD TABLE AS old_messages NEW TABLE AS new_messages
        FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_data.detached_counters();
    CREATE OR REPLACE TRIGGER count_deleted_messages AFTER DELETE ON claude_gpt_data.messages REFERENCING OLD TABLE AS old_messages
        FOR EACH STATEMENT EXECUTE FUNCTION claude_gpt_data.detached_counters();

    EXECUTE 'CREATE OR REPLACE VIEW claude_gpt_data.user_statistics WITH (security_invoker = true) AS '
         || replace(pg_get_viewdef('claude_gpt_data.user_statistics'::regclass),
                    'claude_gpt.current_billing_period()', 'date_trunc(''month'', CURRENT_TIMESTAMP AT TIME ZONE ''UTC'')::date');
    -- Nobody looks at the jobs any more, and without the function there is no list of statements.
    DROP VIEW claude_gpt_data.job_status, claude_gpt_data.slow_queries;
    RAISE NOTICE 'the tables of claude_gpt need the extension no more'
        USING HINT = 'DROP EXTENSION claude_gpt now leaves them whole. CREATE EXTENSION claude_gpt takes them over again.',
              DETAIL = 'Tiers, counters and configuration are no longer protected by triggers: check who may write them.';
END
$$;
COMMENT ON FUNCTION claude_gpt.detach() IS
'Frees the tables from the extension: defaults become gen_random_uuid() and CURRENT_DATE, triggers for updated_at and the conversation counters become plain plpgsql, value rules become CHECK constraints, the triggers that keep maintained columns from the application and check the configuration go, and those that notify of changes, the views job_status and slow_queries go, and user_statistics computes the month in UTC. DROP EXTENSION then succeeds without CASCADE, and the tables keep working. Errors: 42501 the caller is not their owner, or is a superuser where the owner is none; 55000 under REPEATABLE READ or SERIALIZABLE. Locks: ACCESS EXCLUSIVE on the tables for a moment, before their owners are looked at.';
