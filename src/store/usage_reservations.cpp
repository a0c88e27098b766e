#include "store/usage_reservations.hpp"

namespace claude_gpt::store {

using namespace bridge;

namespace {

// $2 now, $3 from when on.
constexpr SqlText k_due{R"sql(
    WHERE r.user_id OPERATOR(pg_catalog.=) $1 AND r.expires_at OPERATOR(pg_catalog.>=) $3
    AND r.expires_at OPERATOR(pg_catalog.<=) $2 AND r.status OPERATOR(pg_catalog.=) 'open'
    )sql"};

constexpr auto k_expire_due_text = R"sql(
    WITH due AS (
    UPDATE claude_gpt_data.usage_reservations AS r SET status = 'expired', closed_at = r.expires_at )sql" +
                                   k_due + R"sql(     RETURNING r.message_count, r.token_count, r.cost)
    SELECT COALESCE(pg_catalog.sum(d.message_count), 0)::pg_catalog.int4, COALESCE(pg_catalog.sum(d.token_count), 0)::pg_catalog.int8,
    COALESCE(pg_catalog.sum(d.cost), 0), pg_catalog.count(*) FROM due AS d
    )sql";
constinit Query<DueHolds(core::Uuid, core::Instant, core::Instant)> k_expire_due{"usage_reservations",
                                                                                 k_expire_due_text};

constexpr auto k_find_due_text = R"sql(
    SELECT COALESCE(pg_catalog.sum(r.message_count), 0)::pg_catalog.int8, COALESCE(pg_catalog.sum(r.token_count), 0)::pg_catalog.int8,
    COALESCE(pg_catalog.sum(r.cost), 0)
    FROM claude_gpt_data.usage_reservations AS r )sql" +
                                 k_due;
constinit Query<StillHeld(core::Uuid, core::Instant, core::Instant)> k_find_due{"usage_reservations", k_find_due_text};

constinit Query<OpenHolds(core::Uuid, core::Instant)> k_find_open{"usage_reservations", R"sql(
    SELECT pg_catalog.min(r.expires_at), pg_catalog.max(GREATEST(r.created_at, r.renewed_at))
    FROM claude_gpt_data.usage_reservations AS r WHERE r.user_id OPERATOR(pg_catalog.=) $1
    AND r.expires_at OPERATOR(pg_catalog.>=) $2 AND r.status OPERATOR(pg_catalog.=) 'open'
    )sql"};

constinit Query<OpenTurns(core::Uuid, core::Instant)> k_find_open_turns{"usage_reservations", R"sql(
    SELECT pg_catalog.count(*), pg_catalog.min(r.expires_at), pg_catalog.max(GREATEST(r.created_at, r.renewed_at))
    FROM claude_gpt_data.usage_reservations AS r
    WHERE r.user_id OPERATOR(pg_catalog.=) $1 AND r.expires_at OPERATOR(pg_catalog.>) $2
    AND r.status OPERATOR(pg_catalog.=) 'open' AND r.assistant_message_id IS NOT NULL
    )sql"};

// $2 and $3: the moments after which none that began, or expires, is believed. $4 now: what is due is not looked at, so
// that the index leads past all that was closed.
constinit Query<HoldOfTheFuture(core::Uuid, core::Instant, core::Instant, core::Instant)> k_find_of_the_future{
    "usage_reservations",
    R"sql(
    SELECT r.id, COALESCE(r.renewed_at, r.created_at), r.expires_at FROM claude_gpt_data.usage_reservations AS r
    WHERE r.user_id OPERATOR(pg_catalog.=) $1 AND r.status OPERATOR(pg_catalog.=) 'open'
    AND r.expires_at OPERATOR(pg_catalog.>) $4
    AND (GREATEST(r.created_at, r.renewed_at) OPERATOR(pg_catalog.>) $2 OR r.expires_at OPERATOR(pg_catalog.>) $3) ORDER BY r.id
    )sql"};

constinit Query<void(core::Uuid, core::Instant, core::Instant)> k_bring_near{"usage_reservations", R"sql(
    UPDATE claude_gpt_data.usage_reservations AS r SET created_at = LEAST(r.created_at, $2),
    renewed_at = CASE WHEN r.renewed_at IS NOT NULL THEN $2 END, expires_at = $3 WHERE r.id OPERATOR(pg_catalog.=) $1
    )sql"};

// $1 now, $2 the moment before which nothing is left, $3 that before which closed ones are not kept, $4 that after
// which no hold is believed to end.
constinit Query<std::int32_t(core::Instant, core::Instant, core::Instant, core::Instant)> k_find_one_to_sweep{
    "usage_reservations",
    R"sql(
    SELECT 1 WHERE EXISTS (SELECT 1 FROM claude_gpt_data.usage_reservations AS r WHERE r.status OPERATOR(pg_catalog.=) 'open'
    AND r.expires_at OPERATOR(pg_catalog.>) $4) OR EXISTS (SELECT 1 FROM claude_gpt_data.usage_reservations AS r WHERE r.status OPERATOR(pg_catalog.=) 'open'
    AND r.expires_at OPERATOR(pg_catalog.<=) $1 AND r.expires_at OPERATOR(pg_catalog.>=) $2)
    OR EXISTS (SELECT 1 FROM claude_gpt_data.usage_reservations AS r WHERE r.status OPERATOR(pg_catalog.<>) 'open'
    AND r.expires_at OPERATOR(pg_catalog.<) $3 AND r.closed_at OPERATOR(pg_catalog.<) $3)
    )sql",
    Planning::by_values};

// $1 now, $2 the moment before which nothing is left; from user $3 on, $4 users at most; $5 as $4 above.
constinit Query<core::Uuid(core::Instant, core::Instant, core::Uuid, std::int64_t, core::Instant)>
    k_find_users_with_holds_to_sweep{"usage_reservations", R"sql(
    SELECT DISTINCT r.user_id FROM claude_gpt_data.usage_reservations AS r WHERE r.status OPERATOR(pg_catalog.=) 'open'
    AND (r.expires_at OPERATOR(pg_catalog.<=) $1 AND r.expires_at OPERATOR(pg_catalog.>=) $2 OR r.expires_at OPERATOR(pg_catalog.>) $5)
    AND r.user_id OPERATOR(pg_catalog.>=) $3
    ORDER BY r.user_id LIMIT $4
    )sql",
                                     Planning::by_values};

constinit Query<void(core::Instant, std::int64_t)> k_delete_closed{"usage_reservations", R"sql(
    DELETE FROM claude_gpt_data.usage_reservations AS r WHERE r.ctid OPERATOR(pg_catalog.=) ANY (ARRAY(
     SELECT o.ctid FROM claude_gpt_data.usage_reservations AS o WHERE o.status OPERATOR(pg_catalog.<>) 'open'
     AND o.expires_at OPERATOR(pg_catalog.<) $1 AND o.closed_at OPERATOR(pg_catalog.<) $1 LIMIT $2 FOR UPDATE SKIP LOCKED))
    AND r.status OPERATOR(pg_catalog.<>) 'open'
    )sql",
                                                                   Planning::by_values};

void put_charged(const Charged& charged, Changes<UsageReservations>& changes) {
  changes.set<UsageReservations::prompt_tokens>(charged.prompt_tokens);
  changes.set<UsageReservations::completion_tokens>(charged.completion_tokens);
  changes.set<UsageReservations::cached_prompt_tokens>(charged.cached_prompt_tokens);
  changes.set<UsageReservations::cache_write_tokens>(charged.cache_write_tokens);
  changes.set_or_null<UsageReservations::given_cost>(charged.given_cost);
  changes.set<UsageReservations::charged_cost>(charged.charged_cost);
  changes.set<UsageReservations::has_failed>(charged.has_failed);
  changes.set<UsageReservations::is_estimated>(charged.is_estimated);
  changes.set_or_null<UsageReservations::reported_usage>(charged.reported_usage);
}

void put_nothing_charged(Changes<UsageReservations>& changes) {
  for (const auto column :
       {UsageReservations::prompt_tokens, UsageReservations::completion_tokens, UsageReservations::cached_prompt_tokens,
        UsageReservations::cache_write_tokens, UsageReservations::given_cost, UsageReservations::charged_cost,
        UsageReservations::has_failed, UsageReservations::is_estimated, UsageReservations::reported_usage})
    changes.set_null(column);
}

// Of a user who is locked.
template <typename Put> void change(const core::Uuid& user_id, const core::Uuid& id, Put put) {
  StoredRow<UsageReservations> reservation{id, user_id};
  reservation.open(RowUse::write);
  reservation.change([&](const Row<UsageReservations>&, Changes<UsageReservations>& changes) {
    put(changes);
    return RowStep::write;
  });
  reservation.finish();
}

}  // namespace

void insert_reservation(const NewReservation& reservation, LockedAt user) {
  NewRow<UsageReservations> row;
  row.set<UsageReservations::id>(reservation.id);
  row.set<UsageReservations::user_id>(reservation.user_id);
  row.set<UsageReservations::status>("open");
  row.set<UsageReservations::message_count>(reservation.messages);
  row.set<UsageReservations::token_count>(reservation.tokens);
  row.set<UsageReservations::cost>(reservation.cost);
  row.pass<UsageReservations::model_used>(passed(reservation.model));
  row.set_or_null<UsageReservations::unit_prices>(reservation.unit_prices);
  row.set<UsageReservations::created_at>(reservation.created_at);
  row.set<UsageReservations::expires_at>(reservation.expires_at);
  row.set_or_null<UsageReservations::conversation_id>(reservation.conversation_id);
  row.set_or_null<UsageReservations::user_message_id>(reservation.user_message_id);
  row.set_or_null<UsageReservations::assistant_message_id>(reservation.assistant_message_id);
  insert_row(row, user.holds());
}

bool lock_reservation(const core::Uuid& user_id, StoredRow<UsageReservations>& reservation) {
  StoredRow<Users> user{user_id};
  user.open(RowUse::lock);
  const bool is_there = user.lock(RowLock::no_key_update);
  user.finish();
  reservation.open(RowUse::lock);
  return is_there && reservation.lock(RowLock::no_key_update);
}

void close_reservation(const core::Uuid& user_id, const core::Uuid& id, std::string_view status,
                       core::Instant closed_at, bool was_late, const std::optional<Charged>& charged,
                       const std::optional<std::int64_t>& reply_hash) {
  change(user_id, id, [&](Changes<UsageReservations>& changes) {
    changes.set<UsageReservations::status>(status);
    changes.set<UsageReservations::closed_at>(closed_at);
    changes.set<UsageReservations::was_late>(was_late);
    changes.set_or_null<UsageReservations::reply_hash>(reply_hash);
    if (charged)
      put_charged(*charged, changes);
    else
      put_nothing_charged(changes);
  });
}

std::optional<core::Instant> find_expiry(const core::Uuid& user_id, const core::Uuid& id) {
  StoredRow<UsageReservations> reservation{id, user_id};
  reservation.open(RowUse::lock);
  const auto expiry = reservation.find() ? reservation.row().find<UsageReservations::expires_at>() : std::nullopt;
  reservation.finish();
  return expiry;
}

void extend_reservation(const core::Uuid& user_id, const core::Uuid& id, core::Instant now, core::Instant expires_at) {
  change(user_id, id, [&](Changes<UsageReservations>& changes) {
    changes.set<UsageReservations::renewed_at>(now);
    changes.set<UsageReservations::expires_at>(expires_at);
  });
}

std::optional<TimeToLive> find_time_to_live(const core::Uuid& user_id, const core::Uuid& id) {
  StoredRow<UsageReservations> reservation{id, user_id};
  reservation.open(RowUse::lock);
  const auto& row = reservation.row();
  std::optional<TimeToLive> found;
  if (reservation.find() && row.get<UsageReservations::status>() == "open") {
    const core::Instant until = row.get<UsageReservations::expires_at>();
    const auto begun = row.find<UsageReservations::created_at>();
    found = {row.find<UsageReservations::renewed_at>().value_or(begun.value_or(until)), until};
  }
  reservation.finish();
  return found;
}

std::optional<ReservedTurn> find_turn(const core::Uuid& user_id, const core::Uuid& id) {
  StoredRow<UsageReservations> reservation{id, user_id};
  reservation.open(RowUse::lock);
  const auto& row = reservation.row();
  std::optional<ReservedTurn> turn;
  if (reservation.find())
    turn = {row.get<UsageReservations::conversation_id>(), row.get<UsageReservations::user_message_id>(),
            row.get<UsageReservations::assistant_message_id>(), row.get<UsageReservations::expires_at>()};
  reservation.finish();
  return turn;
}

DueHolds expire_due(Spi& spi, const core::Uuid& user_id, core::Instant now, core::Instant from) {
  return spi.execute(k_expire_due, Access::read_write, user_id, now, from).first();
}

Result<StillHeld> find_due(Spi& spi, const core::Uuid& user_id, core::Instant now, core::Instant from) {
  return spi.execute(k_find_due, Access::read_only, user_id, now, from);
}

OpenHolds find_open_holds(Spi& spi, const core::Uuid& user_id, core::Instant from) {
  return spi.execute(k_find_open, Access::read_write, user_id, from).first();
}

OpenTurns find_open_turns(Spi& spi, const core::Uuid& user_id, core::Instant now) {
  return spi.execute(k_find_open_turns, Access::read_write, user_id, now).first();
}

Result<HoldOfTheFuture> find_holds_of_the_future(Spi& spi, const core::Uuid& user_id, core::Instant now,
                                                 core::Instant begun_after, core::Instant expires_after) {
  return spi.execute(k_find_of_the_future, Access::read_write, user_id, begun_after, expires_after, now);
}

void bring_hold_near(Spi& spi, const HoldOfTheFuture& hold) {
  spi.execute(k_bring_near, Access::read_write, hold.id, hold.since, hold.expires_at);
}

bool has_reservations_to_sweep(Spi& spi, const TimesOfSweep& times, core::Instant kept_since) {
  return !spi.execute(k_find_one_to_sweep, Access::read_write, times.now, times.due_since, kept_since,
                      times.latest_expiry)
              .empty();
}

Result<core::Uuid> find_users_with_holds_to_sweep(Spi& spi, const TimesOfSweep& times, const core::Uuid& from,
                                                  std::int64_t most) {
  return spi.execute(k_find_users_with_holds_to_sweep, Access::read_write, times.now, times.due_since, from, most,
                     times.latest_expiry);
}

std::uint64_t delete_closed_reservations(Spi& spi, core::Instant kept_since, std::int64_t most) {
  return spi.execute(k_delete_closed, Access::read_write, kept_since, most).count();
}

}  // namespace claude_gpt::store
