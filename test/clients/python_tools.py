"""What tools for Python make of the tables: psycopg 3 reads them, Django saves them, Alembic finds nothing to change."""
import os
import sys
import types
import uuid

import tap
from tap import equal, raises, test

try:
    import psycopg
    from psycopg.rows import dict_row
except ImportError:
    tap.skip_all("Python has no psycopg")
try:
    import django
except ImportError:
    django = None
try:
    import alembic
except ImportError:
    alembic = None

application = psycopg.connect("user=claude_gpt_client", autocommit=True, row_factory=dict_row)
superuser = psycopg.connect("", autocommit=True, row_factory=dict_row)


def row(sql, *parameters):
    return application.execute(sql, parameters).fetchall()[0]


def new_user():
    return row("INSERT INTO users (email, password_hash) VALUES (%s, 'x') RETURNING id", f"{uuid.uuid4()}@example.com")["id"]


# Every table and view, with what is held and what is not.
@test
def psycopg_reads_every_row_that_an_application_may_read():
    user = new_user()
    equal(row("SELECT * FROM users WHERE id = %s", user)["next_hold_expiry"], None)
    held = row("SELECT * FROM reserve_usage(%s, 10)", user)
    equal(row("SELECT * FROM users WHERE id = %s", user)["next_hold_expiry"], held["expires_at"])
    row("SELECT * FROM settle_usage(%s, %s, 1, 1, 0)", user, held["reservation_id"])
    equal(row("SELECT * FROM users WHERE id = %s", user)["next_hold_expiry"], None)
    superuser.execute("INSERT INTO claude_gpt_data.usage_balances VALUES (%s, 'message', '0001-01-01', 0)", (user,))
    for relation in superuser.execute("""SELECT c.oid::regclass::text AS name FROM pg_class AS c
            WHERE c.relnamespace = 'claude_gpt_data'::regnamespace AND c.relkind IN ('r', 'p', 'v')""").fetchall():
        if relation["name"] != "claude_gpt_data.slow_queries":  # of another extension, which may need to be preloaded
            superuser.execute(f"SELECT * FROM {relation['name']} LIMIT 10").fetchall()


def start_django():
    """A model of users as inspectdb writes it, in a module of its own."""
    from django.conf import settings
    from django.core.management import call_command
    import io
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"], "USER": "claude_gpt_client",
                               "HOST": os.environ["PGHOST"], "PORT": os.environ.get("PGPORT", "")}},
        USE_TZ=True, TIME_ZONE="UTC", DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", INSTALLED_APPS=[])
    django.setup()
    written = io.StringIO()
    call_command("inspectdb", "users", stdout=written)
    module = types.ModuleType("mapped")
    sys.modules["mapped"] = module
    exec(written.getvalue().replace("class Meta:", "class Meta:\n        app_label = 'mapped'"), module.__dict__)
    return module.Users, written.getvalue()


if django is not None:
    @test
    def Django_saves_a_user_that_inspectdb_has_mapped():
        Users, source = start_django()
        from django.db import connection
        ada = Users.objects.get(pk=new_user())
        for name in ("Ada", "Ada L."):
            ada.full_name = name
            ada.save()  # writes every column
        equal(row("SELECT full_name FROM users WHERE id = %s", ada.pk)["full_name"], "Ada L.")
        row("SELECT * FROM reserve_usage(%s, 10)", ada.pk)
        held = Users.objects.get(pk=ada.pk)
        held.full_name = "Ada K."
        held.save()
        equal(row("SELECT full_name FROM users WHERE id = %s", ada.pk)["full_name"], "Ada K.")
        assert "This field type is a guess" not in source, source
        # What metering has moved meanwhile is not written back: 42501.
        row("SELECT used FROM consume_quota(%s)", ada.pk)
        error = raises(django.db.utils.ProgrammingError, held.save)
        cause = error.__cause__
        equal(getattr(cause, "sqlstate", None) or cause.pgcode, "42501")  # psycopg 3, which Django prefers where it is, or psycopg2
        held.save(update_fields=["full_name"])
        connection.close()


if alembic is not None:
    @test
    def Alembic_finds_nothing_to_change_after_new_partitions():
        import sqlalchemy
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext
        engine = sqlalchemy.create_engine("postgresql+psycopg2://", future=True)
        reflected = sqlalchemy.MetaData(schema="claude_gpt_data")
        with engine.connect() as connection:
            reflected.reflect(connection)
            assert "claude_gpt_data.users" in reflected.tables and "claude_gpt_data.usage_records" in reflected.tables
            assert not [name for name in reflected.tables if "default" in name or "2026" in name or "2027" in name], "partitions are no tables of their own"
        superuser.execute("CALL claude_gpt.create_partitions('audit_logs', '2001-01-01Z', '2001-03-01Z')")
        superuser.execute("CALL claude_gpt.create_partitions('usage_records', '2001-01-01Z', '2001-06-01Z')")

        def include(name, kind, parents):
            return kind != "schema" or name == "claude_gpt_data"
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=dict(include_schemas=True, include_name=include, compare_type=True))
            equal(compare_metadata(context, reflected), [])
        engine.dispose()


tap.run()
