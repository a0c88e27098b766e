-- What users put beside and upon the tables of 0.4.0; run by a superuser after fill_0.4.0.sql.
GRANT CREATE ON DATABASE :"DBNAME" TO keeper, guest;
GRANT SELECT, REFERENCES ON claude_gpt.users, claude_gpt.messages TO guest;
GRANT SELECT ON claude_gpt.usage_balances TO PUBLIC;
GRANT SELECT (next_hold_expiry) ON claude_gpt.users TO guest;
GRANT SELECT ON claude_gpt.plan_usage TO guest;
GRANT EXECUTE ON FUNCTION claude_gpt.quota_status(uuid), claude_gpt.html_text(text),
    claude_gpt.release_usage(uuid) TO guest;
ALTER DEFAULT PRIVILEGES FOR ROLE keeper IN SCHEMA claude_gpt GRANT SELECT ON TABLES TO guest;
CREATE PUBLICATION whole FOR TABLES IN SCHEMA claude_gpt;

SET SESSION AUTHORIZATION keeper;
CREATE SCHEMA reports;
GRANT USAGE ON SCHEMA reports TO guest;
CREATE VIEW reports.people WITH (security_barrier = true, check_option = local) AS
    SELECT u.id, u.email, u.full_name AS called, u.subscription_tier, u.next_hold_expiry FROM claude_gpt.users AS u WHERE u.subscription_tier = 'pro';
COMMENT ON VIEW reports.people IS 'Those who pay';
COMMENT ON COLUMN reports.people.called IS 'By friends';
ALTER VIEW reports.people ALTER COLUMN subscription_tier SET DEFAULT 'pro';
GRANT SELECT ON reports.people TO guest WITH GRANT OPTION;
GRANT UPDATE (called) ON reports.people TO app;
CREATE FUNCTION reports.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER instead INSTEAD OF UPDATE ON reports.people FOR EACH ROW EXECUTE FUNCTION reports.nothing();
CREATE VIEW reports.people_of_people AS SELECT p.called, s.total_messages FROM reports.people AS p JOIN claude_gpt.user_statistics AS s USING (id);
CREATE MATERIALIZED VIEW reports.titles AS SELECT c.id, c.title, m.model_used FROM claude_gpt.conversations AS c JOIN claude_gpt.messages AS m ON m.conversation_id = c.id;
CREATE INDEX ON reports.titles (model_used, title);
COMMENT ON MATERIALIZED VIEW reports.titles IS 'Of yesterday';
CREATE MATERIALIZED VIEW reports.empty AS SELECT amount FROM claude_gpt.subscription_history WITH NO DATA;
CREATE TABLE reports.changes (id uuid, tier text);
CREATE RULE remember AS ON UPDATE TO claude_gpt.users WHERE OLD.subscription_tier <> NEW.subscription_tier
    DO ALSO INSERT INTO reports.changes VALUES (NEW.id, NEW.subscription_tier);
ALTER TABLE claude_gpt.messages ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_model ON claude_gpt.messages AS PERMISSIVE FOR SELECT TO app, guest USING (model_used IS NULL OR EXISTS (SELECT FROM reports.people));
CREATE POLICY writes ON claude_gpt.messages FOR INSERT WITH CHECK (model_used <> 'none');
COMMENT ON POLICY by_model ON claude_gpt.messages IS 'Ours';
CREATE FUNCTION claude_gpt.is_ours(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION claude_gpt.grant_application_access(p_role text, p_level text DEFAULT 'application') RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN EXECUTE 'ALTER ROLE keeper SUPERUSER'; END $$;
CREATE OPERATOR claude_gpt.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE TYPE claude_gpt.mood AS ENUM ('good', 'bad');
CREATE TYPE claude_gpt.pair AS (a int, b int);
CREATE SEQUENCE claude_gpt.numbers;
CREATE TABLE claude_gpt.notes (id serial PRIMARY KEY, user_id uuid REFERENCES claude_gpt.users ON DELETE CASCADE, tier claude_gpt.subscription_tier, mood claude_gpt.mood);
CREATE STATISTICS claude_gpt.stats ON role, status FROM claude_gpt.messages;
CREATE FUNCTION claude_gpt.hostile() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN EXECUTE 'ALTER ROLE keeper SUPERUSER'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER a_hostile BEFORE UPDATE OF subscription_tier, full_name ON claude_gpt.users FOR EACH ROW WHEN (NEW.full_name <> 'x') EXECUTE FUNCTION claude_gpt.hostile();
ALTER TABLE claude_gpt.users ENABLE ALWAYS TRIGGER a_hostile;
CREATE TRIGGER b_hostile BEFORE UPDATE ON claude_gpt.users FOR EACH ROW EXECUTE FUNCTION claude_gpt.hostile();
CREATE TRIGGER c_hostile BEFORE UPDATE ON claude_gpt.usage_balances FOR EACH ROW EXECUTE FUNCTION claude_gpt.hostile();
ALTER TABLE claude_gpt.usage_balances DISABLE TRIGGER c_hostile;
CREATE INDEX by_tier ON claude_gpt.users (subscription_tier) WHERE claude_gpt.is_ours(full_name);
CREATE TABLE reports.invoices (customer varchar(100) REFERENCES claude_gpt.users (stripe_customer_id), id uuid DEFAULT claude_gpt.uuid_v7());
ALTER TABLE claude_gpt.audit_logs DETACH PARTITION claude_gpt.audit_logs_default;
RESET SESSION AUTHORIZATION;

SET SESSION AUTHORIZATION guest;
CREATE SCHEMA guest;
CREATE VIEW guest.mail AS SELECT email, full_name FROM claude_gpt.users;
CREATE TABLE guest.visits (user_id uuid REFERENCES claude_gpt.users);
RESET SESSION AUTHORIZATION;
CREATE VIEW public.of_the_superuser AS SELECT full_name, phone FROM claude_gpt.users;
