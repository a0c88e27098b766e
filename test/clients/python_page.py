"""The examples of docs/clients.md, as they stand there: the database for tests is made by the page's own recipe, used by
its SQL and its Python, and dropped by it."""
import os
import pathlib
import re
import subprocess
import sys
import uuid

import tap
from tap import equal, test

try:
    import psycopg
    import psycopg2
    import sqlalchemy
except ImportError:
    tap.skip_all("Python has no psycopg, psycopg2 or sqlalchemy")

PAGE = pathlib.Path(__file__, "../../../docs/clients.md").resolve().read_text(encoding="utf-8")
BLOCKS = re.findall(r"^## (.*?)$|^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)
AS_SUPERUSER = dict(os.environ, PGDATABASE="postgres")
AS_APPLICATION = dict(os.environ, PGDATABASE="app_test", PGUSER="app")


def blocks(heading, language):
    found, under = [], None
    for title, kind, text in BLOCKS:
        under = title or under
        if under == heading and kind == language:
            found.append(text)
    return found


def run(command, text, environment):
    done = subprocess.run(command, input=text, env=environment, text=True, capture_output=True)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout


def psql(text, environment=AS_APPLICATION, *options):
    return run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *options], text, environment)


def shell(text):
    return run(["bash", "-euo", "pipefail"], text, AS_SUPERUSER)


TEMPLATE, EACH_RUN, AWAY = blocks("Tests of your application", "sh")


@test
def the_recipe_makes_a_template_and_a_database_of_it():
    shell(TEMPLATE)
    shell(EACH_RUN)
    equal(psql("SELECT current_setting('search_path'), current_setting('claude_gpt.fixed_time'), count(*) FROM users"),
          '"$user", claude_gpt_data, claude_gpt, public|2026-11-22T10:00:00Z|0\n')


@test
def the_clock_is_moved_as_the_page_says():
    equal(psql(*blocks("Tests of your application", "sql")), "t\nf|741600|402\nt|9\n")


@test
def the_day_in_plain_SQL():
    told = psql(*blocks("Plain SQL", "sql")).splitlines()
    equal(told[:2] + told[3:4], ["t||", "user|How do I get to Graz?", "857|0.000473500"])
    equal(told[4].split("|")[0], "t")


@test
def the_day_in_psycopg():
    run([sys.executable], blocks("psycopg 3", "python")[0], AS_APPLICATION)


# What the models of the tests below say, and what their turns come to; runs after the page's block.
ENDS_OF_TURNS = '''
import uuid

def new_user():
    return row("INSERT INTO users (email) VALUES (%(email)s) RETURNING id", email=f"{uuid.uuid4()}@example.com")["id"]

def equal(got, expected):
    assert got == expected, f"got {got!r}, expected {expected!r}"

def reply_of(user):
    return row("SELECT status, content, metadata, cost FROM messages WHERE user_id = %(user)s AND role = 'assistant'", user=user)

def check(user, status, content, metadata, tokens, cost):
    equal(reply_of(user), dict(status=status, content=content, metadata=metadata, cost=cost))
    equal(row("SELECT monthly_message_count, monthly_token_count, monthly_cost, held_message_count, held_token_count FROM users WHERE id = %(user)s", user=user),
          dict(monthly_message_count=1, monthly_token_count=tokens, monthly_cost=cost, held_message_count=0, held_token_count=0))
    equal(row("SELECT sum(quantity) AS tokens, sum(cost) AS cost FROM usage_records WHERE user_id = %(user)s AND usage_type = 'token'", user=user),
          dict(tokens=tokens, cost=cost))
    equal(row("SELECT count(*) FROM usage_reservations WHERE user_id = %(user)s AND status = 'open'", user=user)["count"], 0)

def said(*pieces):
    return lambda question: iter(pieces)

def begun(user):
    return row("SELECT * FROM begin_turn(%(user)s, NULL, 'Hello', 'gpt-3.5-turbo')", user=user)
'''


def ends(text):
    run([sys.executable], blocks("psycopg 3", "python")[0].replace("bea@example.com", f"{uuid.uuid4()}@example.com") + ENDS_OF_TURNS + text, AS_APPLICATION)


def as_owner(text):
    psql(text, dict(AS_SUPERUSER, PGDATABASE="app_test"))


# The database refuses changes of messages where the condition on NEW holds.
def while_refused(condition, sqlstate, text):
    as_owner(f"""CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF {condition} THEN RAISE EXCEPTION 'refused by the test' USING ERRCODE = '{sqlstate}'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON claude_gpt_data.messages FOR EACH ROW EXECUTE FUNCTION public.refuse()""")
    try:
        ends(text)
    finally:
        as_owner("DROP FUNCTION public.refuse CASCADE")


@test
def what_psycopg_or_PostgreSQL_refuse_of_a_reply_is_stored_as_U_FFFD_and_charged():
    ends(r'''
user = new_user()
chat(user, "a\0\ud83d?", "gpt-3.5-turbo", said("a\0b", " \ud83d", "\ude00", " \ude00x"), "key")
check(user, "sent", "a\ufffdb \U0001f600 \ufffdx", {"pieces": 4}, 12, Decimal("0.000042"))
user = new_user()
chat(user, "?", "gpt-3.5-turbo", said(*["\0"] * 20), "key")   # the twentieth is saved while it streams
check(user, "sent", "\ufffd" * 20, {"pieces": 20}, 28, Decimal("0.000042"))
''')


@test
def metadata_is_stored_as_far_as_it_is_JSON_and_does_not_cost_the_reply():
    ends(r'''
user = new_user()
metadata = {"source": "\0", "k\ud83d": [{"deep": ("\0", 1, None, True)}], 5: float("nan"), "path": "C:\\u0000"}
end_turn(user, begun(user), "Well.", 8, 4, Decimal("0.000042"), metadata)
check(user, "sent", "Well.", {"source": "\ufffd", "k\ufffd": [{"deep": ["\ufffd", 1, None, True]}], "5": None, "path": "C:\\u0000"}, 12, Decimal("0.000042"))
''')
    while_refused("NEW.metadata ? 'bad'", "22P05", r'''
user = new_user()
end_turn(user, begun(user), "Well.", 8, 4, Decimal("0.000042"), {"bad": 1})
check(user, "sent", "Well.", None, 12, Decimal("0.000042"))
''')


@test
def a_reply_that_is_refused_is_charged_as_failed_with_its_content_or_without():
    for condition, content in (("NEW.status = 'sent'", "I am"), ("NEW.content LIKE '%am%'", "")):
        while_refused(condition, "23514", f'''
user = new_user()
equal(chat(user, "?", "gpt-3.5-turbo", said("I", " am"), "key")["total_tokens"], 10)
check(user, "failed", {content!r}, None, 10, Decimal("0.000042"))
''')


@test
def a_stream_that_breaks_off_with_an_error_that_cannot_be_stored_is_charged():
    ends(r'''
user = new_user()
def breaking(question):
    yield "a\0b"
    raise RuntimeError("bad byte \0")
chat(user, "?", "gpt-3.5-turbo", breaking, "key")
check(user, "failed", "a\ufffdb", None, 9, Decimal("0.0000055"))  # by the price: 8 * 0.5 + 1 * 1.5 millionths
''')


@test
def a_connection_that_is_lost_when_the_turn_ends_is_replaced_and_a_user_who_is_gone_is_told():
    ends(r'''
user = new_user()
turn = begun(user)
try:
    row("SELECT pg_terminate_backend(pg_backend_pid())")
except psycopg.OperationalError:
    pass
end_turn(user, turn, "Well.", 8, 4, Decimal("0.000042"))
check(user, "sent", "Well.", None, 12, Decimal("0.000042"))
import contextlib, io
with contextlib.redirect_stderr(io.StringIO()) as told:
    assert end_turn(uuid.uuid4(), turn, "Well.", 8, 4) is None
assert "not charged" in told.getvalue() and "prompt=8 tokens=4" in told.getvalue() and "does not exist" in told.getvalue(), told.getvalue()
''')


@test
def the_day_in_SQLAlchemy():
    run([sys.executable], blocks("SQLAlchemy", "python")[0], AS_APPLICATION)


@test
def each_run_begins_anew():
    equal(psql("SET claude_gpt.fixed_time = '2026-12-01T00:00:00Z'; SELECT * FROM claude_gpt.prove_books()", dict(AS_SUPERUSER, PGDATABASE="app_test")), "")
    shell(AWAY)
    shell(EACH_RUN)
    equal(psql("SELECT count(*) FROM users; SELECT remaining FROM rate_limit('login 203.0.113.7', 10, '1 minute')"), "0\n9\n")
    shell(AWAY)


def clean_up():
    psql("DROP DATABASE IF EXISTS app_test WITH (FORCE)", AS_SUPERUSER)
    psql("UPDATE pg_database SET datistemplate = false WHERE datname = 'app_template'; DROP DATABASE IF EXISTS app_template", AS_SUPERUSER)
    psql("DO $$ BEGIN REVOKE SET ON PARAMETER claude_gpt.fixed_time FROM app; DROP ROLE app; EXCEPTION WHEN undefined_object THEN END $$", AS_SUPERUSER)


try:
    tap.run()
finally:
    clean_up()
