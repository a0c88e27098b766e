-- The path to a message loses nothing of what was said before it, whatever has become of parents, clocks and rows: of histories
-- that are made at random, by turns and by applications, each path, each place among siblings and each parent is what a plain
-- model says.
BEGIN;
\ir prelude.psql
SELECT no_plan();
UPDATE system_configs SET is_active = false WHERE config_key = 'rate_limits';
SELECT pg_temp.configure('subscription_plans', '{"free": {"messagesPerMonth": -1}}'), pg_temp.configure('model_prices', '{"m": {"prompt": 0, "completion": 0}}');
SELECT pg_temp.new_user('ann') AS ann \gset

-- The contents of a path.
CREATE FUNCTION pg_temp.said(p_leaf uuid) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(p.content, ', ' ORDER BY p."position")
    FROM claude_gpt_data.messages AS m CROSS JOIN LATERAL claude_gpt.conversation_path(m.user_id, m.id) AS p WHERE m.id = p_leaf
$$;
CREATE FUNCTION pg_temp.turn(p_conversation uuid, p_question text, p_reply text, p_parent uuid DEFAULT NULL, OUT conversation uuid, OUT question uuid, OUT reply uuid) LANGUAGE plpgsql AS $$
DECLARE
    begun record;
BEGIN
    SELECT * INTO begun FROM claude_gpt.begin_turn(pg_temp.user_id('ann'), p_conversation, p_question, 'm', p_parent_message_id => p_parent);
    PERFORM claude_gpt.complete_turn(pg_temp.user_id('ann'), begun.reservation_id, p_reply, 1, 1, 0);
    conversation := begun.conversation_id; question := begun.message_id; reply := begun.assistant_message_id;
END
$$;

-- The clock of the server steps back between two turns.
SET LOCAL claude_gpt.fixed_time = '2026-11-30T10:00:00Z';
SELECT * FROM pg_temp.turn(NULL, 'q1', 'a1') \gset one_
SET LOCAL claude_gpt.fixed_time = '2026-11-30T09:59:55Z';
SELECT * FROM pg_temp.turn(:'one_conversation', 'q2', 'a2') \gset two_
SET LOCAL claude_gpt.fixed_time = '2026-11-30T09:59:57Z';
SELECT * FROM pg_temp.turn(:'one_conversation', 'q3', 'a3') \gset three_
SELECT is(pg_temp.said(:'three_reply'), 'q1, a1, q2, a2, q3, a3', 'a turn follows the one before it, though the clock stepped back');
SELECT is((SELECT string_agg(content, ', ' ORDER BY created_at) FROM messages WHERE conversation_id = :'one_conversation'), 'q1, a1, q2, a2, q3, a3', 'and each message is later than the one it follows');
SELECT is((SELECT array_agg(content) FROM conversation_messages(:'ann', :'one_conversation', p_limit => 2)), '{a3,q3}', 'the newest page begins with it');
SET LOCAL claude_gpt.fixed_time = '2026-11-30T10:00:00.000001Z';
SELECT * FROM pg_temp.turn(:'one_conversation', 'q2 again', 'a2 again', :'two_question') \gset edit_
SELECT is(pg_temp.said(:'edit_reply'), 'q1, a1, q2 again, a2 again', 'an edit follows what the edited one followed');
SELECT * FROM pg_temp.turn(:'one_conversation', 'q4', 'a4') \gset four_
SELECT is(pg_temp.said(:'four_reply'), 'q1, a1, q2 again, a2 again, q4, a4', 'and the next turn goes on after it');
SELECT * FROM pg_temp.turn(:'one_conversation', 'other', 'other reply', :'one_question') \gset root_
SELECT is(pg_temp.said(:'root_reply'), 'other, other reply', 'an edit of the first question begins a branch of its own');
SELECT is((SELECT sibling_index || '/' || sibling_count FROM conversation_path(:'ann', :'root_question')), '2/2', 'beside the first one');

-- What the newest message cannot be.
INSERT INTO conversations (user_id) VALUES (:'ann') RETURNING id AS c \gset
INSERT INTO messages (id, conversation_id, user_id, role, content, parent_message_id) VALUES
    ('ffffffff-0000-4000-8000-000000000001', :'c', :'ann', 'user', 'question', NULL), ('00000000-0000-4000-8000-000000000001', :'c', :'ann', 'assistant', 'reply', 'ffffffff-0000-4000-8000-000000000001');
SELECT * FROM pg_temp.turn(:'c', 'next', 'next reply') \gset next_
SELECT is(pg_temp.said(:'next_reply'), 'question, reply, next, next reply', 'of two messages of one moment the reply is the newest, whatever their ids');
INSERT INTO conversations (user_id) VALUES (:'ann') RETURNING id AS c \gset
INSERT INTO messages (conversation_id, user_id, role, content, created_at) VALUES (:'c', :'ann', 'user', 'the last', 'infinity');
SELECT * FROM pg_temp.turn(:'c', 'next', 'next reply') \gset next_
SELECT is(pg_temp.said(:'next_reply'), 'the last, next, next reply', 'what came at the end of time is followed too');
SELECT is((SELECT created_at FROM messages WHERE id = :'next_question'), timestamptz '2026-11-30T10:00:00.000001Z', 'by what comes now');
SELECT * FROM pg_temp.turn(:'c', 'then', 'then reply') \gset then_
SELECT is(pg_temp.said(:'then_reply'), 'the last, next, next reply, then, then reply', 'and that by the next turn');

-- Histories without parents.
INSERT INTO conversations (user_id) VALUES (:'ann') RETURNING id AS flat \gset
INSERT INTO messages (conversation_id, user_id, role, content, created_at)
SELECT :'flat', :'ann', CASE WHEN i % 2 = 1 THEN 'user' ELSE 'assistant' END, 'line ' || i, timestamptz '2026-11-29Z' + i * interval '1 s' FROM generate_series(1, 6) AS i;
SELECT * FROM pg_temp.turn(:'flat', 'go on', 'so be it') \gset flat_
SELECT is(pg_temp.said(:'flat_reply'), 'line 1, line 2, line 3, line 4, line 5, line 6, go on, so be it', 'messages without parents follow one another');
SELECT is((SELECT string_agg(sibling_count::text, '' ORDER BY "position") FROM conversation_path(:'ann', :'flat_reply')), '11111111', 'and are no siblings');
UPDATE messages SET status = 'deleted' WHERE content = 'line 3';
DELETE FROM messages WHERE content = 'line 2';
SELECT is(pg_temp.said(:'flat_reply'), 'line 1, line 4, line 5, line 6, go on, so be it', 'one that is deleted is passed over');
DELETE FROM messages WHERE content = 'line 6';
SELECT is(pg_temp.said(:'flat_reply'), 'line 1, line 4, line 5, go on, so be it', 'also where it was a parent');
SELECT is((SELECT p.content FROM messages AS m JOIN messages AS p ON p.id = m.parent_message_id WHERE m.id = :'flat_question'), 'line 5', 'which the one before it is then');

-- What a path reads of a long history, with and without parents.
INSERT INTO conversations (user_id) VALUES (:'ann'), (:'ann');
SELECT min(id::text) AS long, max(id::text) AS chain FROM conversations AS c WHERE user_id = :'ann' AND NOT EXISTS (SELECT 1 FROM messages WHERE conversation_id = c.id) \gset
INSERT INTO messages (id, conversation_id, user_id, role, content, created_at, parent_message_id)
SELECT md5(c.id || i)::uuid, c.id::uuid, :'ann', 'user', 'line', timestamptz '2026-11-29Z' + i * interval '1 s', CASE WHEN c.id = :'chain' AND i > 1 THEN md5(c.id || i - 1)::uuid END
FROM (VALUES (:'long'), (:'chain')) AS c (id), generate_series(1, 1000) AS i;
DISCARD PLANS;  -- those of a time without messages
SELECT pg_stat_get_xact_tuples_returned('idx_messages_conversation_id'::regclass) + pg_stat_get_xact_tuples_returned('messages'::regclass) AS before \gset
SELECT is((SELECT count(*) FROM conversation_path(:'ann', md5(:'long' || 1000)::uuid)), 1000::bigint, 'a long history without parents is told to its beginning');
SELECT is((SELECT count(*) FROM conversation_path(:'ann', md5(:'chain' || 1000)::uuid)), 1000::bigint, 'so is one with them');
SELECT cmp_ok(pg_stat_get_xact_tuples_returned('idx_messages_conversation_id'::regclass) + pg_stat_get_xact_tuples_returned('messages'::regclass) - :before, '<', 20000::bigint, 'and each step reads a few messages, however many there are');
DELETE FROM messages WHERE conversation_id IN (:'long', :'chain');

-- Parents that an application ties to a ring.
INSERT INTO conversations (user_id) VALUES (:'ann') RETURNING id AS ring \gset
CREATE TABLE pg_temp.ring AS SELECT md5('ring' || i)::uuid AS id, i FROM generate_series(1, 7) AS i;
INSERT INTO messages (id, conversation_id, user_id, role, content, created_at) SELECT r.id, :'ring', :'ann', 'user', 'ring ' || r.i, timestamptz '2026-11-29Z' + r.i * interval '1 s' FROM ring AS r;
UPDATE messages AS m SET parent_message_id = p.id FROM ring AS r, ring AS p WHERE m.id = r.id AND p.i = CASE r.i WHEN 3 THEN 5 WHEN 6 THEN 5 WHEN 7 THEN 2 ELSE r.i - 1 END;
SELECT is((SELECT string_agg(split_part(pg_temp.said(id), ', ', -1), ', ' ORDER BY i) FROM ring), 'ring 1, ring 2, ring 3, ring 4, ring 5, ring 6, ring 7', 'the path to a message of a ring ends');
DELETE FROM messages WHERE content IN ('ring 3', 'ring 4', 'ring 5');
SELECT is((SELECT parent_message_id IS NULL AND is_root FROM messages WHERE content = 'ring 6'), true, 'what follows a ring that is deleted begins a branch');
SELECT is(pg_temp.said((SELECT id FROM ring WHERE i = 7)), 'ring 1, ring 2, ring 7', 'and others follow what they did');
DELETE FROM messages WHERE conversation_id = :'ring';

-- Deleted parents.
DELETE FROM messages WHERE id = :'two_question';
SELECT is(pg_temp.said(:'three_reply'), 'q1, a1, a2, q3, a3', 'the replies of a message that is deleted go to its parent');
DELETE FROM messages WHERE content IN ('a1', 'a2', 'q2 again', 'a2 again');
SELECT is(pg_temp.said(:'three_reply'), 'q1, q3, a3', 'past those that are deleted with it');
SELECT is(pg_temp.said(:'four_reply'), 'q1, q4, a4', 'on each branch');
DELETE FROM messages WHERE content IN ('q1', 'other');
SELECT is(pg_temp.said(:'four_reply') || '; ' || pg_temp.said(:'three_reply') || '; ' || pg_temp.said(:'root_reply'), 'q4, a4; q3, a3; other reply', 'where nothing is left above them they begin branches of their own');
SELECT is((SELECT count(*) FROM messages WHERE conversation_id = :'one_conversation' AND is_root), 3::bigint, 'as roots');
CREATE ROLE deleter;
GRANT USAGE ON SCHEMA claude_gpt_data TO deleter;
GRANT SELECT, DELETE ON messages TO deleter;
SELECT is(pg_temp.as_role('deleter', format('DELETE FROM claude_gpt_data.messages WHERE id = %L', :'three_question')), 'done', 'who may delete needs no right to update');
SELECT is((SELECT is_root FROM messages WHERE id = :'three_reply'), true, 'the replies that go to another');
-- The same rows, deleted once more: what came of the first attempt is not remembered.
INSERT INTO conversations (user_id) VALUES (:'ann') RETURNING id AS twice \gset
SELECT * FROM pg_temp.turn(:'twice', 'q1', 'a1') \gset x_
SELECT * FROM pg_temp.turn(:'twice', 'q2', 'a2') \gset y_
SAVEPOINT before;
DELETE FROM messages WHERE id IN (:'x_reply', :'y_question');
ROLLBACK TO before;
UPDATE messages SET parent_message_id = NULL, is_root = true WHERE id = :'x_reply';
DELETE FROM messages WHERE id IN (:'x_reply', :'y_question');
SELECT is(pg_temp.said(:'y_reply'), 'a2', 'a statement that is rolled back leaves nothing to the next');
INSERT INTO messages (id, conversation_id, user_id, role, content, parent_message_id) VALUES (:'y_question', :'twice', :'ann', 'user', 'q2 again', :'x_question');
UPDATE messages SET parent_message_id = :'y_question' WHERE id = :'y_reply';
DELETE FROM messages WHERE id = :'y_question';
SELECT is(pg_temp.said(:'y_reply'), 'q1, a2', 'nor one that deleted a message of the same id');
SELECT lives_ok(format('DELETE FROM claude_gpt_data.conversations WHERE id IN (%L, %L)', :'one_conversation', :'flat'), 'conversations go with all their messages');

-- A model, in the plainest words: a row for each message, and what each of them follows by a look at all of them.
CREATE TABLE pg_temp.model (id uuid PRIMARY KEY, parent uuid, is_root boolean, created_at timestamptz, status text, content text);
CREATE FUNCTION pg_temp.follows(p_id uuid, p_living uuid[] DEFAULT NULL) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    m pg_temp.model;
    o pg_temp.model;
    best pg_temp.model;
BEGIN
    SELECT * INTO m FROM pg_temp.model WHERE id = p_id;
    IF m.parent IS NOT NULL OR m.is_root THEN
        RETURN m.parent;
    END IF;
    FOR o IN SELECT * FROM pg_temp.model WHERE status <> 'deleted' AND (p_living IS NULL OR id = ANY (p_living)) LOOP
        IF o.parent IS DISTINCT FROM p_id AND (o.created_at < m.created_at OR o.created_at = m.created_at AND o.id < m.id)
           AND (best.id IS NULL OR o.created_at > best.created_at OR o.created_at = best.created_at AND o.id > best.id) THEN
            best := o;
        END IF;
    END LOOP;
    RETURN best.id;
END
$$;
CREATE FUNCTION pg_temp.model_path(p_id uuid) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    path uuid[] := '{}';
    shown uuid[] := '{}';
    here uuid := p_id;
BEGIN
    WHILE here IS NOT NULL AND here <> ALL (path) LOOP
        path := here || path;
        IF here = p_id OR (SELECT status FROM pg_temp.model WHERE id = here) = 'sent' THEN
            shown := here || shown;
        END IF;
        here := pg_temp.follows(here);
    END LOOP;
    RETURN shown;
END
$$;
CREATE FUNCTION pg_temp.is_in_ring(p_id uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    seen uuid[] := '{}';
    here uuid := p_id;
BEGIN
    WHILE here IS NOT NULL LOOP
        IF here = ANY (seen) THEN
            RETURN true;
        END IF;
        seen := seen || here;
        here := pg_temp.follows(here);
    END LOOP;
    RETURN false;
END
$$;
CREATE FUNCTION pg_temp.model_siblings(p_id uuid) RETURNS text LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE (o.created_at, o.id) <= (m.created_at, m.id)) || '/' || count(*)
    FROM pg_temp.model AS m, pg_temp.model AS o WHERE m.id = p_id AND o.status <> 'deleted' AND pg_temp.follows(o.id) IS NOT DISTINCT FROM pg_temp.follows(m.id)
$$;
-- The newest that nothing follows; where something follows each of them, the newest without a reply, or of all.
CREATE FUNCTION pg_temp.model_newest() RETURNS uuid LANGUAGE sql AS $$
    SELECT m.id FROM pg_temp.model AS m WHERE m.status <> 'deleted'
    ORDER BY EXISTS (SELECT FROM pg_temp.model AS o WHERE o.status <> 'deleted' AND pg_temp.follows(o.id) = m.id),
             EXISTS (SELECT FROM pg_temp.model AS o WHERE o.status <> 'deleted' AND o.parent = m.id), m.created_at DESC, m.id DESC LIMIT 1
$$;
-- What is left above a message that goes with others.
CREATE FUNCTION pg_temp.model_above(p_id uuid, p_living uuid[]) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    here uuid := p_id;
    parent uuid;
BEGIN
    LOOP
        parent := (SELECT m.parent FROM pg_temp.model AS m WHERE m.id = here);
        EXIT WHEN parent IS NULL;
        IF parent = ANY (p_living) THEN
            RETURN parent;
        END IF;
        here := parent;
    END LOOP;
    RETURN pg_temp.follows(here, p_living);
END
$$;
CREATE FUNCTION pg_temp.model_delete(p_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    living uuid[] := ARRAY(SELECT id FROM pg_temp.model WHERE id <> ALL (p_ids));
    handed record;
BEGIN
    FOR handed IN SELECT m.id, pg_temp.model_above(m.parent, living) AS above FROM pg_temp.model AS m WHERE m.parent = ANY (p_ids) AND m.id = ANY (living) LOOP
        UPDATE pg_temp.model SET parent = handed.above, is_root = handed.above IS NULL WHERE id = handed.id;
    END LOOP;
    DELETE FROM pg_temp.model WHERE id = ANY (p_ids);
END
$$;
CREATE FUNCTION pg_temp.any_message(p_condition text DEFAULT 'true') RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    found uuid;
BEGIN
    EXECUTE format('SELECT id FROM (SELECT id FROM pg_temp.model WHERE %s ORDER BY content OFFSET 0) AS m ORDER BY random() LIMIT 1', p_condition) INTO found;
    RETURN found;
END
$$;

-- Plays a history, and says where the tables differ from the model first; NULL: nowhere.
CREATE FUNCTION pg_temp.play(p_seed integer, OUT difference text, OUT checked bigint) LANGUAGE plpgsql AS $$
DECLARE
    person uuid := pg_temp.user_id('ann');
    conversation uuid;
    moment timestamptz;
    later timestamptz;
    step text;
    chosen uuid[];
    above uuid;
    root boolean;
    this uuid;
    begun record;
BEGIN
    PERFORM setseed(p_seed / 10000.0);
    checked := 0;
    TRUNCATE pg_temp.model;
    INSERT INTO claude_gpt_data.conversations (user_id) VALUES (person) RETURNING id INTO conversation;
    FOR n IN 1 .. 14 LOOP
        -- Few moments, so that they meet, and steps back.
        moment := timestamptz '2026-11-30Z' + floor(random() * 5) * interval '1 microsecond';
        PERFORM set_config('claude_gpt.fixed_time', to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), true);
        step := (ARRAY['turn', 'turn', 'turn', 'branch', 'branch', 'row', 'row', 'row', 'flat', 'status', 'delete', 'delete', 'parent'])[1 + floor(random() * 13)];
        IF step IN ('turn', 'branch') THEN
            this := CASE step WHEN 'branch' THEN pg_temp.any_message($c$status <> 'deleted'$c$) END;
            later := (SELECT max(created_at) FROM pg_temp.model WHERE status <> 'deleted');
            above := CASE WHEN this IS NULL THEN pg_temp.model_newest()
                          WHEN EXISTS (SELECT FROM claude_gpt_data.messages AS m WHERE m.id = this AND m.role = 'user') THEN pg_temp.follows(this)
                          ELSE this END;
            SELECT * INTO begun FROM claude_gpt.begin_turn(person, conversation, 'q' || n, 'm', p_parent_message_id => this);
            moment := greatest(moment, later + interval '1 microsecond');
            INSERT INTO pg_temp.model VALUES (begun.message_id, above, above IS NULL, moment, 'sent', 'q' || n), (begun.assistant_message_id, begun.message_id, false, moment + interval '1 microsecond', 'sending', 'a' || n);
            IF random() < 0.8 THEN
                PERFORM claude_gpt.complete_turn(person, begun.reservation_id, 'a' || n, 1, 1, 0);
            ELSE
                PERFORM claude_gpt.fail_turn(person, begun.reservation_id, 'broken');
            END IF;
            UPDATE pg_temp.model AS m SET status = (SELECT status FROM claude_gpt_data.messages AS s WHERE s.id = m.id) WHERE m.id = begun.assistant_message_id;
        ELSIF step IN ('row', 'flat') THEN
            this := gen_random_uuid();
            above := CASE WHEN step = 'row' AND random() < 0.6 THEN pg_temp.any_message() END;
            root := above IS NULL AND random() < 0.15;
            INSERT INTO claude_gpt_data.messages (id, conversation_id, user_id, role, content, parent_message_id, is_root, created_at)
            VALUES (this, conversation, person, (ARRAY['user', 'assistant', 'system'])[1 + floor(random() * 3)], 'm' || n, above, root, moment);
            INSERT INTO pg_temp.model VALUES (this, above, root, moment, 'sent', 'm' || n);
        ELSIF step = 'status' THEN
            this := pg_temp.any_message();
            UPDATE claude_gpt_data.messages SET status = CASE status WHEN 'deleted' THEN 'sent' ELSE 'deleted' END WHERE id = this;
            UPDATE pg_temp.model SET status = CASE status WHEN 'deleted' THEN 'sent' ELSE 'deleted' END WHERE id = this;
        ELSIF step = 'parent' THEN
            -- Also into a ring.
            this := pg_temp.any_message();
            above := pg_temp.any_message(format('id <> %L', COALESCE(this, person)));
            UPDATE claude_gpt_data.messages SET parent_message_id = above WHERE id = this;
            UPDATE pg_temp.model SET parent = above WHERE id = this;
        ELSE
            chosen := ARRAY(SELECT id FROM (SELECT id FROM pg_temp.model ORDER BY content OFFSET 0) AS m WHERE random() < 0.35);
            -- What stands above a ring cannot be said.
            CONTINUE WHEN EXISTS (SELECT FROM pg_temp.model AS m WHERE pg_temp.is_in_ring(m.id));
            PERFORM pg_temp.model_delete(chosen);
            DELETE FROM claude_gpt_data.messages WHERE id = ANY (chosen);
        END IF;

        SELECT format('play %s, step %s (%s): %s', p_seed, n, step, string_agg(format('%s has %s %s %s %s, in the model %s %s %s %s', COALESCE(m.content, o.content), m.parent_message_id, m.is_root, m.created_at, m.status, o.parent, o.is_root, o.created_at, o.status), '; ')) INTO difference
        FROM (SELECT * FROM claude_gpt_data.messages AS s WHERE s.conversation_id = conversation) AS m FULL JOIN pg_temp.model AS o USING (id)
        WHERE (m.parent_message_id, m.is_root, m.created_at, m.status) IS DISTINCT FROM (o.parent, o.is_root, o.created_at, o.status::varchar) HAVING count(*) > 0;
        IF difference IS NULL THEN
            SELECT format('play %s, step %s (%s): the path to %s is %s %s, in the model %s', p_seed, n, step, o.content, p.path, p.siblings, pg_temp.model_path(o.id)) INTO difference
            FROM pg_temp.model AS o
            CROSS JOIN LATERAL (SELECT array_agg(p.id ORDER BY p."position") AS path, string_agg(p.sibling_index || '/' || p.sibling_count, ' ' ORDER BY p."position") AS siblings
                                FROM claude_gpt.conversation_path(person, o.id) AS p) AS p
            WHERE o.status <> 'deleted' AND (p.path IS DISTINCT FROM pg_temp.model_path(o.id)
                  OR p.siblings IS DISTINCT FROM (SELECT string_agg(pg_temp.model_siblings(b.id), ' ' ORDER BY b.n) FROM unnest(p.path) WITH ORDINALITY AS b (id, n))) LIMIT 1;
        END IF;
        checked := checked + (SELECT count(*) FROM pg_temp.model WHERE status <> 'deleted');
        EXIT WHEN difference IS NOT NULL;
    END LOOP;
    DELETE FROM claude_gpt_data.conversations WHERE id = conversation;
END
$$;
CREATE TABLE pg_temp.played AS SELECT p.* FROM generate_series(1, 150) AS n CROSS JOIN LATERAL pg_temp.play(n) AS p;
SELECT is(string_agg(difference, E'\n'), NULL, 'every path of histories that are made at random is that of the model') FROM pg_temp.played;
SELECT cmp_ok(sum(checked), '>', 5000::numeric, 'which are thousands') FROM pg_temp.played;

SELECT * FROM finish();
ROLLBACK;
