"""The metering API from Python, with psycopg 3."""
import datetime
import uuid
from decimal import Decimal

import tap
from tap import equal, raises, test

try:
    import psycopg
    from psycopg.rows import dict_row
    from psycopg.types.json import Jsonb
except ImportError:
    tap.skip_all("Python has no psycopg")

UTC = datetime.timezone.utc
NOW = datetime.datetime(2026, 11, 22, 10, tzinfo=UTC)  # the clock of these sessions
application = psycopg.connect("user=claude_gpt_client", autocommit=True, row_factory=dict_row)


def rows(sql, *parameters, **named):
    return application.execute(sql, named or parameters).fetchall()


def row(sql, *parameters, **named):
    return rows(sql, *parameters, **named)[0]


def new_user():
    return row("INSERT INTO users (email, password_hash) VALUES (%s, 'x') RETURNING id", f"{uuid.uuid4()}@example.com")["id"]


def used(user, action="message"):
    return row("SELECT used FROM quota_status(%s) WHERE action = %s", user, action)["used"]


def refused(sqlstate, sql, *parameters):
    error = raises(psycopg.Error, lambda: rows(sql, *parameters))
    equal(error.sqlstate, sqlstate)
    return error


def charged(cost, place="%s"):
    user = new_user()
    held = row("SELECT * FROM reserve_usage(%s, 10)", user)
    return row(f"SELECT * FROM settle_usage(%s, %s, 1, 1, {place})", user, held["reservation_id"], cost)["charged_cost"]


@test
def integers_are_int_ids_UUID_moments_aware_datetimes_and_what_is_not_said_None():
    decision = row("SELECT * FROM consume_quota(%s)", new_user())
    resets_at = decision.pop("resets_at")
    equal((resets_at, resets_at.utcoffset()), (datetime.datetime(2026, 12, 1, tzinfo=UTC), datetime.timedelta(0)))
    equal(decision, dict(allowed=True, reason=None, limit_name="message", limit_value=20, used=1, held=0, remaining=19,
                         retry_after_seconds=None, error_code=None, http_status=None, replayed=False))
    held = row("SELECT * FROM reserve_usage(%s, 10)", new_user())
    equal(type(held["reservation_id"]), uuid.UUID)


@test
def a_numeric_is_a_Decimal():
    equal(charged(Decimal("0.000000001")), Decimal("0.000000001"))
    equal(charged(2), Decimal(2))


@test
def parameters_go_by_name_and_None_is_NULL():
    user = new_user()
    sql = "SELECT * FROM consume_quota(p_user_id => %(user)s, p_quantity => %(quantity)s, p_model => %(model)s, p_idempotency_key => %(key)s)"
    equal(row(sql, user=user, quantity=3, model=None, key=None)["used"], 3)
    equal(row(sql, user=user, quantity=3, model="small", key="a key")["used"], 6)
    equal(row(sql, user=user, quantity=3, model="small", key="a key")["replayed"], True)
    equal(used(user), 6)


@test
def the_types_of_Python_find_those_of_the_parameters():
    user = new_user()
    held = row("SELECT * FROM reserve_usage(%s, %s, p_ttl => %s)", str(user), 1000, datetime.timedelta(seconds=90))
    equal(held["expires_at"] - NOW, datetime.timedelta(seconds=90))
    equal(row("SELECT * FROM settle_usage(%s, %s, %s, %s, %s)", user, str(held["reservation_id"]), 12, 30, "0.000000001"),
          dict(charged_tokens=42, charged_cost=Decimal("0.000000001"), late=False, replayed=False, estimated=False))
    equal(row("SELECT extract(epoch FROM expires_at - %s)::integer AS seconds FROM reserve_usage(%s, 10, p_ttl => %s)", NOW, user, "2 minutes"),
          dict(seconds=120))
    record = row("SELECT * FROM record_usage(%s, 'api_call', %s, p_metadata => %s)", user, 2**53 + 1, Jsonb(["a", "b"]))
    equal(row("SELECT quantity, metadata FROM usage_records WHERE id = %s", record["usage_record_id"]),
          dict(quantity=2**53 + 1, metadata=["a", "b"]))


@test
def a_float_as_cost_needs_a_cast_and_is_charged_to_nine_decimal_places():
    equal(raises(psycopg.Error, lambda: charged(0.3)).sqlstate, "42883")  # there is no implicit cast to numeric
    equal(charged(0.1 + 0.2, "%s::numeric"), Decimal("0.3"))
    equal(charged(1e-7, "%s::numeric"), Decimal("0.0000001"))
    equal(raises(psycopg.Error, lambda: charged(float("nan"), "%s::numeric")).sqlstate, "22023")
    equal(raises(psycopg.Error, lambda: charged(Decimal("NaN"))).sqlstate, "22023")
    equal(raises(psycopg.Error, lambda: charged(None)).sqlstate, "UQ009")  # no cost, and no model to price it by


@test
def a_count_that_is_no_int_is_refused():
    user = new_user()
    refused("42883", "SELECT * FROM consume_quota(%s, p_quantity => %s)", user, 1.5)
    refused("42883", "SELECT * FROM consume_quota(%s, p_quantity => %s)", user, Decimal(1))
    held = row("SELECT * FROM reserve_usage(%s, 10)", user)
    refused("42883", "SELECT * FROM settle_usage(%s, %s, %s, %s, 0)", user, held["reservation_id"], 2**31, 1)  # more than an integer
    equal(used(user), 0)


@test
def a_turn_is_begun_saved_and_completed():
    user = new_user()
    turn = row("SELECT * FROM begin_turn(%s, NULL, %s, %s, p_estimated_tokens => %s, p_metadata => %s)", user, "How are you?", "small", 100,
               Jsonb({"from": "web"}))
    equal(turn["expires_at"] - NOW, datetime.timedelta(minutes=5))
    rows("SELECT save_partial(%s, %s, %s)", user, turn["reservation_id"], "I am")
    branch = "SELECT role, content, status, metadata FROM conversation_path(%s, %s)"
    equal(rows(branch, user, turn["assistant_message_id"]),
          [dict(role="user", content="How are you?", status="sent", metadata={"from": "web"}),
           dict(role="assistant", content="I am", status="sending", metadata=None)])
    complete = ("SELECT * FROM complete_turn(%s, %s, %s, %s, %s)", user, turn["reservation_id"], "I am well.", 1000, 400)
    completed = dict(message_id=turn["assistant_message_id"], conversation_id=turn["conversation_id"], total_tokens=1400,
                     charged_cost=Decimal("0.0011"), late=False, replayed=False, estimated=False)
    equal(row(*complete), completed)
    equal(row(*complete), {**completed, "replayed": True})
    equal(rows("SELECT content FROM conversation_messages(%s, %s)", user, turn["conversation_id"]),
          [dict(content="I am well."), dict(content="How are you?")])
    equal([(status["action"], status["used"], status["held"]) for status in rows("SELECT * FROM quota_status(%s)", user)],
          [("message", 1, 0), ("token", 1400, 0), ("api_call", 0, 0), ("cost", 1100, 0)])


@test
def a_denial_is_a_row_and_leaves_the_transaction_usable():
    user = new_user()
    with application.transaction():
        denied = row("SELECT * FROM consume_quota(%s, p_quantity => %s)", user, 21)
        equal([denied[name] for name in ("allowed", "reason", "limit_name", "limit_value", "used", "remaining", "error_code", "http_status")],
              [False, "quota_exceeded", "message", 20, 0, 20, "UQ001", 402])
        equal(denied["retry_after_seconds"], None)  # more than the whole limit: never
        equal(row("SELECT * FROM consume_quota(%s, p_quantity => %s)", user, 20)["allowed"], True)
    equal(row("SELECT * FROM consume_quota(%s)", user)["retry_after_seconds"], 741600)


@test
def raise_if_denied_is_a_DatabaseError_with_its_SQLSTATE():
    user = new_user()
    sql = "SELECT d.*, raise_if_denied(d) FROM consume_quota(%s, p_quantity => %s) AS d"
    equal(row(sql, user, 19)["used"], 19)
    error = refused("UQ001", sql, user, 2)
    equal(type(error), psycopg.DatabaseError)
    equal(error.diag.message_primary, "quota is exceeded")
    equal(error.diag.message_detail, 'Of the limit of 20 for "message", 19 are used and 0 are held.')
    equal(used(user), 19)


@test
def an_error_has_its_SQLSTATE():
    user = new_user()
    equal(type(refused("22004", "SELECT * FROM consume_quota(%s)", None)), psycopg.errors.NullValueNotAllowed)
    equal(type(refused("P0002", "SELECT * FROM consume_quota(%s)", uuid.uuid4())), psycopg.errors.NoDataFound)
    refused("22P02", "SELECT * FROM consume_quota(%s)", "no uuid")
    refused("42501", "SELECT set_subscription(%s, 'base')", user)
    row("SELECT * FROM consume_quota(%s, p_idempotency_key => 'once')", user)
    refused("UQ006", "SELECT * FROM consume_quota(%s, p_quantity => 2, p_idempotency_key => 'once')", user)


@test
def a_prepared_statement_counts_once_each_time_it_is_executed():
    user = new_user()
    for count in range(8):
        application.execute("SELECT * FROM consume_quota(%s, p_quantity => %s)", (user, count % 2 + 1), prepare=True)
    equal(row("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s", "SELECT * FROM consume_quota(%")["count"], 1)
    equal(used(user), 12)


@test
def SELECT_star_FROM_f_calls_f_once_and_SELECT_f_dot_star_once_for_each_column():
    user = new_user()
    answer = row("SELECT * FROM consume_quota(%s, 'api_call')", user)
    equal(used(user, "api_call"), 1)
    row("SELECT (consume_quota(%s, 'api_call')).*", user)
    equal(used(user, "api_call"), 1 + len(answer))


tap.run()
