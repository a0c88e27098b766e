// The SQL that this application says, and the rows that come back. bigint and numeric arrive as strings, and stay
// strings: a JavaScript number holds neither all counts nor any exact amount of money.
import type { Pool, QueryResultRow } from 'pg';

export type Bigint = string;
export type Numeric = string;
export type Uuid = string;

export interface Decision {
  allowed: boolean;
  reason: string | null;
  limit_name: string | null;
  limit_value: Bigint | number | null; // bigint of quotas, integer of rates
  remaining: Bigint | number | null;
  reset_after_seconds: number | null;
  retry_after_seconds: number | null;
  http_status: number | null;
}

export interface Turn extends Decision {
  replayed: boolean;
  conversation_id: Uuid;
  message_id: Uuid;
  assistant_message_id: Uuid;
  reservation_id: Uuid;
  expires_at: Date;
  is_expired: boolean;
}

export interface TurnRequest {
  userId: Uuid;
  conversationId: Uuid | null;
  content: string | null;
  model: string;
  parentMessageId: Uuid | null;
  estimatedTokens: number;
  holdMinutes: number;
  idempotencyKey: string | null;
}

// The cached tokens and those written to a cache are part of the prompt.
export interface Usage {
  promptTokens: number;
  completionTokens: number;
  cachedPromptTokens: number;
  cacheWriteTokens: number;
}

export const noUsage: Usage = { promptTokens: 0, completionTokens: 0, cachedPromptTokens: 0, cacheWriteTokens: 0 };

// Of a million tokens.
export interface Price {
  prompt: Numeric;
  completion: Numeric;
  cached_prompt: Numeric;
  cache_write: Numeric;
}

export interface Settlement {
  message_id: Uuid | null;
  total_tokens: Bigint;
  charged_cost: Numeric;
}

// A turn that nobody ends any more, and what was saved of its reply.
export interface AbandonedTurn {
  user_id: Uuid;
  reservation_id: Uuid;
  message_id: Uuid;
  content: string;
}

export interface PathMessage {
  role: string;
  content: string;
}

export interface Reply {
  status: string;
  content: string;
  error_message: string | null;
  total_tokens: number | null;
  cost: Numeric | null;
}

export interface Session {
  id: Uuid;
  user_id: Uuid;
}

export class Database {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async #rows<Row extends QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#pool.query<Row>(text, values)).rows;
  }

  async #row<Row extends QueryResultRow>(text: string, values: unknown[]): Promise<Row> {
    const row = (await this.#rows<Row>(text, values))[0];
    if (!row) throw new Error(`no row came back from: ${text}`);
    return row;
  }

  // Fails if the database cannot be asked.
  async check(): Promise<void> {
    await this.#rows('SELECT current_billing_period()');
  }

  // Functions that return columns stand in FROM: SELECT (begin_turn(...)).* would begin a turn for each column.
  // What NULL is for the function is null here; what is left out keeps its default.
  beginTurn(request: TurnRequest): Promise<Turn> {
    return this.#row<Turn>(
      `SELECT t.*, GREATEST(0, ceil(extract(epoch FROM t.resets_at - clock_timestamp())))::integer AS reset_after_seconds,
              t.expires_at < clock_timestamp() AS is_expired
       FROM begin_turn(p_user_id => $1::uuid, p_conversation_id => $2::uuid, p_content => $3, p_model => $4, p_estimated_tokens => $5::integer,
                       p_parent_message_id => $6::uuid, p_idempotency_key => $7, p_ttl => make_interval(mins => $8::integer)) AS t`,
      [request.userId, request.conversationId, request.content, request.model, request.estimatedTokens, request.parentMessageId, request.idempotencyKey,
        request.holdMinutes]);
  }

  async savePartial(userId: Uuid, reservationId: Uuid, content: string): Promise<void> {
    await this.#rows('SELECT save_partial($1::uuid, $2::uuid, $3)', [userId, reservationId, content]);
  }

  // A null cost is computed by the row "model_prices" of the configuration. Metadata is JSON text, and so is what a provider
  // reported, which takes the place of the usage.
  completeTurn(userId: Uuid, reservationId: Uuid, content: string, metadata: string | null, usage: Usage, reported: string | null,
    cost: Numeric | null): Promise<Settlement> {
    return this.#row<Settlement>(
      `SELECT * FROM complete_turn($1::uuid, $2::uuid, $3, $4::integer, $5::integer, p_cached_prompt_tokens => $6::integer,
                                   p_cache_write_tokens => $7::integer, p_cost => $8::numeric, p_metadata => $9::jsonb, p_usage => $10::jsonb)`,
      [userId, reservationId, content, ...(reported === null ? countsOf(usage) : noCounts), cost, metadata, reported]);
  }

  stopTurn(userId: Uuid, reservationId: Uuid, content: string, metadata: string | null, usage: Usage, reported: string | null,
    cost: Numeric | null): Promise<Settlement> {
    return this.#row<Settlement>(
      `SELECT * FROM stop_turn($1::uuid, $2::uuid, $3, $4::integer, $5::integer, p_cached_prompt_tokens => $6::integer,
                               p_cache_write_tokens => $7::integer, p_cost => $8::numeric, p_metadata => $9::jsonb, p_usage => $10::jsonb)`,
      [userId, reservationId, content, ...(reported === null ? countsOf(usage) : noCounts), cost, metadata, reported]);
  }

  // Null content keeps what was saved.
  failTurn(userId: Uuid, reservationId: Uuid, message: string, content: string | null, usage: Usage, reported: string | null,
    cost: Numeric | null): Promise<Settlement> {
    return this.#row<Settlement>(
      `SELECT * FROM fail_turn($1::uuid, $2::uuid, $3, $4::integer, $5::integer, p_cached_prompt_tokens => $6::integer,
                               p_cache_write_tokens => $7::integer, p_cost => $8::numeric, p_content => $9, p_usage => $10::jsonb)`,
      [userId, reservationId, message, ...(reported === null ? countsOf(usage) : noCounts), cost, content, reported]);
  }

  // Charges what a turn used beside it: a message, and tokens with their cost, once by their keys. A reason ends the turn
  // with that, without a charge of its own.
  async recordTurn(userId: Uuid, reservationId: Uuid, model: string, usage: Usage, cost: Numeric, reason: string | null): Promise<void> {
    const end = reason === null ? '' : ', fail_turn($1::uuid, $3::uuid, $6) AS ended';
    await this.#rows(
      `SELECT 1 FROM record_usage($1::uuid, 'message', 1, p_model => $2, p_idempotency_key => 'message of ' || $3::uuid) AS message,
                     record_usage($1::uuid, 'token', $4::bigint, p_model => $2, p_cost => $5::numeric, p_idempotency_key => 'tokens of ' || $3::uuid) AS token${end}`,
      [userId, model, reservationId, usage.promptTokens + usage.completionTokens, cost, ...(reason === null ? [] : [reason])]);
  }

  // Without one, a reply of the model could not be charged.
  async price(model: string): Promise<Price | undefined> {
    return (await this.#rows<Price & QueryResultRow>(
      `SELECT price->>'prompt' AS prompt, price->>'completion' AS completion, COALESCE(price->>'cachedPrompt', price->>'prompt') AS cached_prompt,
              COALESCE(price->>'cacheWrite', price->>'prompt') AS cache_write
       FROM (SELECT config_value->$1::text AS price FROM system_configs WHERE config_key = 'model_prices' AND is_active) AS prices
       WHERE price IS NOT NULL`, [model]))[0];
  }

  // As complete_turn computes it. In SQL, which has decimal numbers.
  async cost(price: Price, usage: Usage): Promise<Numeric> {
    const sum = `($1::numeric - $3 - $4) * $5::numeric + $2::numeric * $6::numeric + $3::numeric * $7::numeric + $4::numeric * $8::numeric`;
    return (await this.#row<{ cost: Numeric }>(`SELECT round((${sum}) * 0.000001, 9) AS cost`,
      [...countsOf(usage), price.prompt, price.completion, price.cached_prompt, price.cache_write])).cost;
  }

  // Every turn ends before its hold does, so one whose hold has expired has no server any more.
  abandonedTurns(): Promise<AbandonedTurn[]> {
    return this.#rows<AbandonedTurn & QueryResultRow>(
      `SELECT r.user_id, r.id AS reservation_id, r.user_message_id AS message_id, m.content
       FROM messages AS m JOIN usage_reservations AS r ON r.user_id = m.user_id AND r.assistant_message_id = m.id
       WHERE m.status = 'sending' AND r.expires_at < clock_timestamp() ORDER BY r.expires_at DESC LIMIT 100`);
  }

  conversationPath(userId: Uuid, leafId: Uuid, maxTokens: number): Promise<PathMessage[]> {
    return this.#rows<PathMessage & QueryResultRow>('SELECT role, content FROM conversation_path($1::uuid, $2::uuid, $3::integer)', [userId, leafId, maxTokens]);
  }

  async reply(userId: Uuid, messageId: Uuid): Promise<Reply | undefined> {
    return (await this.#rows<Reply & QueryResultRow>(
      'SELECT status, content, error_message, total_tokens, cost FROM messages WHERE id = $1::uuid AND user_id = $2::uuid', [messageId, userId]))[0];
  }

  rateLimit(key: string, limit: number, period: string): Promise<Decision> {
    return this.#row<Decision & QueryResultRow>('SELECT *, NULL AS limit_name FROM rate_limit($1, $2::integer, $3::interval)', [key, limit, period]);
  }

  async quota(userId: Uuid): Promise<unknown> {
    return {
      month: await this.#rows('SELECT * FROM quota_status($1::uuid)', [userId]),
      calls_a_minute: await this.#row('SELECT limit_value, remaining, reset_after_seconds FROM check_rate_limit($1::uuid, 0)', [userId]), // a cost of 0 only looks
    };
  }

  conversations(userId: Uuid): Promise<unknown[]> {
    return this.#rows('SELECT * FROM list_conversations($1::uuid)', [userId]);
  }

  messages(userId: Uuid, conversationId: Uuid, before: Uuid | null): Promise<unknown[]> {
    return this.#rows('SELECT * FROM conversation_messages($1::uuid, $2::uuid, $3::uuid)', [userId, conversationId, before]);
  }

  async deleteConversation(userId: Uuid, conversationId: Uuid): Promise<void> {
    await this.#rows('SELECT delete_conversation($1::uuid, $2::uuid)', [userId, conversationId]);
  }

  async createUser(email: string, passwordHash: string, fullName: string | null): Promise<Uuid> {
    return (await this.#row<{ id: Uuid }>('INSERT INTO users (email, password_hash, full_name) VALUES ($1, $2, $3) RETURNING id',
      [email, passwordHash, fullName])).id;
  }

  async findCredentials(email: string): Promise<{ id: Uuid; password_hash: string } | undefined> {
    return (await this.#rows<{ id: Uuid; password_hash: string }>('SELECT id, password_hash FROM users WHERE lower(email) = lower($1)', [email]))[0];
  }

  async user(userId: Uuid): Promise<unknown> {
    return this.#row(
      `SELECT id, email, full_name, avatar_url, preferred_language, theme_preference, email_verified, created_at FROM users WHERE id = $1::uuid`, [userId]);
  }

  async updateUser(userId: Uuid, changes: { full_name: string | null; preferred_language: string | null; theme_preference: string | null }): Promise<void> {
    await this.#rows(
      `UPDATE users SET full_name = COALESCE($2, full_name), preferred_language = COALESCE($3, preferred_language),
                        theme_preference = COALESCE($4, theme_preference), updated_at = now()
       WHERE id = $1::uuid`,
      [userId, changes.full_name, changes.preferred_language, changes.theme_preference]);
  }

  async subscription(userId: Uuid): Promise<unknown> {
    return this.#row(
      `SELECT subscription_tier, subscription_status, subscription_current_period_end, subscription_cancel_at_period_end, effective_tier(id)
       FROM users WHERE id = $1::uuid`, [userId]);
  }

  // The configuration as an object by key, of those keys that are active.
  async configuration(keys: string[]): Promise<Record<string, unknown>> {
    const rows = await this.#rows<{ config_key: string; config_value: unknown }>(
      'SELECT config_key, config_value FROM system_configs WHERE is_active AND config_key = ANY ($1::text[])', [keys]);
    return Object.fromEntries(rows.map((row) => [row.config_key, row.config_value]));
  }

  async createSession(userId: Uuid, tokenHash: string, days: number, address: string | null, userAgent: string | null): Promise<Date> {
    return (await this.#row<{ expires_at: Date }>(
      `INSERT INTO user_sessions (user_id, session_token, device_type, ip_address, user_agent, expires_at)
       VALUES ($1::uuid, $2, 'web', $3::inet, $4, now() + make_interval(days => $5::integer)) RETURNING expires_at`,
      [userId, tokenHash, address, userAgent, days])).expires_at;
  }

  // The session of a token, if it is alive. last_used_at is kept to the minute: not every request writes.
  async findSession(tokenHash: string): Promise<Session | undefined> {
    return (await this.#rows<Session & QueryResultRow>(
      `WITH session AS (
         SELECT id, user_id, last_used_at FROM user_sessions WHERE session_token = $1 AND is_active AND expires_at > now()
       ), touched AS (
         UPDATE user_sessions SET last_used_at = now() FROM session
         WHERE user_sessions.id = session.id AND session.last_used_at < now() - interval '1 minute'
       )
       SELECT id, user_id FROM session`, [tokenHash]))[0];
  }

  async endSession(sessionId: Uuid): Promise<void> {
    await this.#rows('UPDATE user_sessions SET is_active = false WHERE id = $1::uuid', [sessionId]);
  }
}

const noCounts = [null, null, 0, 0];
const countsOf = (usage: Usage): number[] => [usage.promptTokens, usage.completionTokens, usage.cachedPromptTokens, usage.cacheWriteTokens];
