"""The examples of docs/clients.md, as they stand there: the database for tests is made by the page's own recipe, used by
its SQL and its Python, and dropped by it."""
import os
import pathlib
import re
import subprocess
import sys

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


@test
def the_day_in_SQLAlchemy():
    run([sys.executable], blocks("SQLAlchemy", "python")[0], AS_APPLICATION)


@test
def each_run_begins_anew():
    equal(psql("SELECT * FROM claude_gpt.prove_books()", dict(AS_SUPERUSER, PGDATABASE="app_test")), "")
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
