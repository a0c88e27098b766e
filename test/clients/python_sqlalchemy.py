"""The metering API through SQLAlchemy, 1.4 as in Debian 12 and 2.0. Its dialect is that of psycopg2: 1.4 has none for
psycopg 3. psycopg2 writes the parameters into the statement by itself."""
import datetime
import uuid
from decimal import Decimal

import tap
from tap import equal, raises, test

try:
    import psycopg2
    import sqlalchemy
    from sqlalchemy import bindparam, func, select, text
    from sqlalchemy.dialects.postgresql import JSONB
except ImportError:
    tap.skip_all("Python has no sqlalchemy, or no psycopg2 for it")

engine = sqlalchemy.create_engine("postgresql+psycopg2://claude_gpt_client@", future=True)
NOW = datetime.datetime(2026, 11, 22, 10, tzinfo=datetime.timezone.utc)  # the clock of these sessions


def rows(statement, **parameters):
    with engine.begin() as connection:
        return [dict(found) for found in connection.execute(text(statement) if isinstance(statement, str) else statement, parameters).mappings()]


def row(statement, **parameters):
    return rows(statement, **parameters)[0]


def new_user():
    return row("INSERT INTO users (email, password_hash) VALUES (:email, 'x') RETURNING id", email=f"{uuid.uuid4()}@example.com")["id"]


def used(user, action="message"):
    return row("SELECT used FROM quota_status(:user) WHERE action = :action", user=user, action=action)["used"]


def refused(sqlstate, statement, **parameters):
    error = raises(sqlalchemy.exc.DBAPIError, lambda: rows(statement, **parameters))
    equal(error.orig.pgcode, sqlstate)
    return error


@test
def columns_have_Python_types():
    user = new_user()
    equal(type(user), uuid.UUID)
    decision = row("SELECT * FROM consume_quota(:user)", user=user)
    equal(decision, dict(allowed=True, reason=None, limit_name="message", limit_value=20, used=1, held=0, remaining=19,
                         resets_at=datetime.datetime(2026, 12, 1, tzinfo=datetime.timezone.utc), retry_after_seconds=None, error_code=None,
                         http_status=None, replayed=False))


@test
def parameters_go_by_name():
    user = new_user()
    sql = "SELECT * FROM consume_quota(p_user_id => :user, p_quantity => :quantity, p_model => :model, p_idempotency_key => :key)"
    equal(row(sql, user=str(user), quantity=3, model=None, key="a key")["used"], 3)
    equal(row(sql, user=str(user), quantity=3, model=None, key="a key")["replayed"], True)
    equal(used(user), 3)


@test
def table_valued_is_SELECT_FROM_f():
    user = new_user()
    decision = func.consume_quota(user).table_valued("allowed", "used", "remaining")
    equal(row(select(decision)), dict(allowed=True, used=1, remaining=19))
    equal(used(user), 1)


@test
def a_float_as_cost_is_charged_to_nine_decimal_places():
    def charged(cost):
        user = new_user()
        held = row("SELECT * FROM reserve_usage(:user, 10)", user=user)
        return row("SELECT * FROM settle_usage(:user, :id, 1, 1, :cost)", user=user, id=held["reservation_id"], cost=cost)["charged_cost"]
    equal(charged(Decimal("0.000000001")), Decimal("0.000000001"))
    equal(charged(0.1 + 0.2), Decimal("0.3"))  # written out, it is a numeric
    equal(charged(1e-7), Decimal("0.0000001"))
    equal(raises(sqlalchemy.exc.DBAPIError, lambda: charged(float("nan"))).orig.pgcode, "42883")  # 'NaN'::float is none


@test
def a_turn_is_begun_and_completed():
    user = new_user()
    begin = text("SELECT * FROM begin_turn(:user, :conversation, :content, :model, p_metadata => :metadata, p_ttl => :ttl)")
    turn = row(begin.bindparams(bindparam("metadata", type_=JSONB)), user=user, conversation=None, content="How are you?", model="small",
               metadata={"from": "web"}, ttl=datetime.timedelta(seconds=90))
    equal(turn["expires_at"] - NOW, datetime.timedelta(seconds=90))
    rows("SELECT save_partial(:user, :id, :content)", user=user, id=turn["reservation_id"], content="I am")
    completed = row("SELECT * FROM complete_turn(:user, :id, :content, :prompt, :completion)", user=user, id=turn["reservation_id"], content="I am well.",
                    prompt=1000, completion=400)
    equal(completed, dict(message_id=turn["assistant_message_id"], conversation_id=turn["conversation_id"], total_tokens=1400,
                          charged_cost=Decimal("0.0011"), late=False, replayed=False, estimated=False))
    equal(rows("SELECT content, metadata FROM conversation_path(:user, :leaf)", user=user, leaf=turn["assistant_message_id"]),
          [dict(content="How are you?", metadata={"from": "web"}), dict(content="I am well.", metadata=None)])


@test
def jsonb_as_text_is_cast_by_CAST():
    user = new_user()
    turn = row("SELECT * FROM begin_turn(:user, NULL, 'Hello', 'small', p_metadata => CAST(:metadata AS jsonb))", user=user, metadata='["a"]')
    equal(row("SELECT metadata FROM messages WHERE id = :id", id=turn["message_id"]), dict(metadata=["a"]))
    # A parameter before two colons is none.
    refused("42601", "SELECT * FROM begin_turn(:user, NULL, 'Hello', 'small', p_metadata => :metadata::jsonb)", user=user, metadata='["a"]')


@test
def a_denial_is_a_row_and_raise_if_denied_an_error():
    user = new_user()
    denied = row("SELECT * FROM consume_quota(:user, p_quantity => 21)", user=user)
    equal((denied["allowed"], denied["reason"], denied["http_status"], denied["used"]), (False, "quota_exceeded", 402, 0))
    error = refused("UQ001", "SELECT d.*, raise_if_denied(d) FROM consume_quota(:user, p_quantity => 21) AS d", user=user)
    equal(error.orig.diag.message_detail, 'Of the limit of 20 for "message", 0 are used and 0 are held.')
    equal(type(error), sqlalchemy.exc.DatabaseError)


@test
def an_error_has_its_SQLSTATE_in_orig_pgcode():
    user = new_user()
    refused("22004", "SELECT * FROM consume_quota(:user)", user=None)
    refused("P0002", "SELECT * FROM consume_quota(:user)", user=uuid.uuid4())
    refused("22P02", "SELECT * FROM consume_quota(:user)", user="no uuid")
    refused("42883", "SELECT * FROM consume_quota(:user, p_quantity => :quantity)", user=user, quantity=1.5)
    row("SELECT * FROM consume_quota(:user, p_idempotency_key => 'once')", user=user)
    refused("UQ006", "SELECT * FROM consume_quota(:user, p_quantity => 2, p_idempotency_key => 'once')", user=user)


@test
def a_transaction_that_is_rolled_back_counts_nothing():
    user = new_user()
    with engine.connect() as connection:
        equal(connection.execute(text("SELECT * FROM consume_quota(:user)"), dict(user=user)).mappings().one()["used"], 1)
    equal(used(user), 0)


tap.run()
