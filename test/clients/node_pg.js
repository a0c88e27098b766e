// The metering API as a chat server calls it from Node, with pg (node-postgres).
const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { run } = require('./tap.js');

let pg;
try {
  pg = require('pg');
} catch {
  console.log('1..0 # SKIP Node has no pg');
  process.exit();
}

const application = new pg.Pool({ user: 'claude_gpt_client', max: 8 });
const k_now = new Date('2026-11-22T10:00:00Z');  // the clock of its sessions
const k_month_ends = new Date('2026-12-01T00:00:00Z');

const rows = async (sql, parameters) => (await application.query(sql, parameters)).rows;
const row = async (sql, parameters) => (await rows(sql, parameters))[0];
const new_user = async () => (await row("INSERT INTO users (email, password_hash) VALUES ($1, 'x') RETURNING id", [`${randomUUID()}@example.com`])).id;
const used = async (user, action = 'message') => (await row('SELECT * FROM quota_status($1) WHERE action = $2', [user, action])).used;
const refused = (sqlstate, sql, parameters) => assert.rejects(rows(sql, parameters), { code: sqlstate });
const begin = (user) => row('SELECT * FROM begin_turn($1, NULL, $2, $3, p_estimated_tokens => 100)', [user, 'How are you?', 'small']);

// The HTTP answer that a row makes, as the reference says.
function answer_to(decision, now) {
  const headers = {};
  if (decision.limit_value !== null) {
    headers['RateLimit-Limit'] = decision.limit_value;
    headers['RateLimit-Remaining'] = decision.remaining;
    headers['RateLimit-Reset'] = String(Math.ceil((decision.resets_at - now) / 1000));
  }
  if (decision.retry_after_seconds !== null) headers['Retry-After'] = String(decision.retry_after_seconds);
  return { status: decision.http_status ?? 200, headers };
}

// While a change of the configuration is on its way in a transaction that is rolled back.
async function with_configuration(key, value, call) {
  const owner = new pg.Client({ user: 'postgres' });
  await owner.connect();
  try {
    await owner.query('BEGIN');
    await owner.query('SET LOCAL search_path = claude_gpt_data, claude_gpt, public');
    await owner.query('UPDATE system_configs SET config_value = $2 WHERE config_key = $1', [key, value]);
    return await call(owner);
  } finally {
    await owner.end();
  }
}

const tests = {
  'bigint is a string, integer a number, timestamptz a Date, what is not said null': async () => {
    assert.deepEqual(await row('SELECT * FROM consume_quota($1)', [await new_user()]), {
      allowed: true, reason: null, limit_name: 'message', limit_value: '20', used: '1', held: '0', remaining: '19', resets_at: k_month_ends,
      retry_after_seconds: null, error_code: null, http_status: null, replayed: false });
  },
  'a count that no JS number holds arrives whole': async () => {
    const decision = await row('SELECT * FROM consume_quota($1, $2, $3)', [await new_user(), 'api_call', 2n ** 53n + 1n]);
    assert.equal(decision.used, '9007199254740993');
    assert.equal(decision.limit_value, null, 'unlimited');
    assert.equal(decision.remaining, null);
  },
  'parameters go by name, and undefined is NULL': async () => {
    const user = await new_user();
    const sql = 'SELECT * FROM consume_quota(p_user_id => $1, p_quantity => $2, p_model => $3, p_idempotency_key => $4)';
    assert.equal((await row(sql, [user, 3, undefined, undefined])).used, '3');
    assert.equal((await row(sql, [user, 3, 'small', 'a key'])).used, '6');
    assert.equal((await row(sql, [user, 3, 'small', 'a key'])).replayed, true);
    assert.equal(await used(user), '6');
  },
  'text finds its type: uuid, bigint, interval, numeric, jsonb': async () => {
    const user = await new_user();
    const held = await row('SELECT * FROM reserve_usage($1, $2, p_model => $3, p_ttl => $4)', [user, '1000', 'small', '90 seconds']);
    assert.match(held.reservation_id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.deepEqual(held.expires_at, new Date(k_now.getTime() + 90_000));
    assert.deepEqual(await row('SELECT * FROM settle_usage($1, $2, $3, $4, $5)', [user, held.reservation_id, '12', '30', '0.000000001']),
      { charged_tokens: '42', charged_cost: '0.000000001', late: false, replayed: false, estimated: false });
    const record = await row('SELECT * FROM record_usage($1, $2, $3, p_metadata => $4)', [user, 'api_call', 1, { tool: 'search' }]);
    assert.deepEqual(await rows('SELECT metadata FROM usage_records WHERE id = $1', [record.usage_record_id]), [{ metadata: { tool: 'search' } }]);
  },
  'a JS number as cost is charged to nine decimal places': async () => {
    const charged = async (cost) => {
      const user = await new_user();
      const { reservation_id } = await row('SELECT * FROM reserve_usage($1, 10)', [user]);
      return (await row('SELECT * FROM settle_usage($1, $2, 1, 1, $3)', [user, reservation_id, cost])).charged_cost;
    };
    assert.equal(await charged(0.1 + 0.2), '0.300000000');  // the parameter is the text 0.30000000000000004
    assert.equal(await charged(1e-7), '0.000000100');
    assert.equal(await charged(1.5e-9), '0.000000002');
    await assert.rejects(charged(NaN), { code: '22023' });
    await assert.rejects(charged(Infinity), { code: '22023' });
    await assert.rejects(charged(-0.01), { code: '22023' });
    await assert.rejects(charged(undefined), { code: 'UQ009' });  // no cost, and no model to price it by
  },
  'a fraction is no count': async () => {
    const user = await new_user();
    await refused('22P02', 'SELECT * FROM consume_quota($1, p_quantity => $2)', [user, 1.5]);
    assert.equal(await used(user), '0');
  },
  'an object is jsonb, an array only as text': async () => {
    const sql = 'SELECT * FROM begin_turn($1, NULL, $2, $3, p_metadata => $4)';
    const user = await new_user();
    await refused('22P02', sql, [user, 'Hello', 'small', ['a', 'b']]);  // pg makes a PostgreSQL array of it
    const turn = await row(sql, [user, 'Hello', 'small', JSON.stringify(['a', 'b'])]);
    assert.deepEqual(await rows('SELECT metadata FROM messages WHERE id = $1', [turn.message_id]), [{ metadata: ['a', 'b'] }]);
  },
  'a turn is begun, saved and completed': async () => {
    const user = await new_user();
    const turn = await begin(user);
    assert.deepEqual(answer_to(turn, k_now),
      { status: 200, headers: { 'RateLimit-Limit': '20', 'RateLimit-Remaining': '19', 'RateLimit-Reset': '741600' } });
    assert.deepEqual(turn.expires_at, new Date(k_now.getTime() + 300_000));
    const path = () => rows('SELECT role, content, status FROM conversation_path($1, $2)', [user, turn.assistant_message_id]);
    const question = { role: 'user', content: 'How are you?', status: 'sent' };
    assert.deepEqual(await path(), [question, { role: 'assistant', content: '', status: 'sending' }]);
    await rows('SELECT save_partial($1, $2, $3)', [user, turn.reservation_id, 'I am']);
    assert.deepEqual(await path(), [question, { role: 'assistant', content: 'I am', status: 'sending' }]);
    const complete = () => row('SELECT * FROM complete_turn($1, $2, $3, $4, $5)', [user, turn.reservation_id, 'I am well.', 1000, 400]);
    const completed = { message_id: turn.assistant_message_id, conversation_id: turn.conversation_id, total_tokens: '1400', charged_cost: '0.001100000',
                        late: false, replayed: false, estimated: false };
    assert.deepEqual(await complete(), completed);
    assert.deepEqual(await complete(), { ...completed, replayed: true });
    assert.deepEqual(await path(), [question, { role: 'assistant', content: 'I am well.', status: 'sent' }]);
    assert.deepEqual(await rows('SELECT action, used, held FROM quota_status($1)', [user]),
      [{ action: 'message', used: '1', held: '0' }, { action: 'token', used: '1400', held: '0' }, { action: 'api_call', used: '0', held: '0' },
       { action: 'cost', used: '1100', held: '0' }]);  // in millionths
    assert.deepEqual(await rows('SELECT message_count, total_tokens, total_cost FROM list_conversations($1)', [user]),
      [{ message_count: 2, total_tokens: '1400', total_cost: '0.001100000' }]);
  },
  'a turn that failed costs what it used, and nothing if it used nothing': async () => {
    const user = await new_user();
    const fail = (turn, ...tokens) => row('SELECT * FROM fail_turn($1, $2, $3, $4, $5)', [user, turn.reservation_id, 'the model hung up', ...tokens]);
    assert.equal((await fail(await begin(user), 0, 0)).charged_cost, '0.000000000');
    assert.equal(await used(user), '0');
    assert.equal((await fail(await begin(user), 200, 0)).charged_cost, '0.000100000');
    assert.equal(await used(user), '1');
  },
  'a denial is a row, with all that the HTTP answer says': async () => {
    const user = await new_user();
    await row('SELECT * FROM consume_quota($1, p_quantity => 20)', [user]);
    const denied = await begin(user);
    assert.deepEqual([denied.allowed, denied.reason, denied.limit_name, denied.error_code, denied.reservation_id, denied.conversation_id],
      [false, 'quota_exceeded', 'message', 'UQ001', null, null]);
    assert.deepEqual(answer_to(denied, k_now), { status: 402, headers: {
      'RateLimit-Limit': '20', 'RateLimit-Remaining': '0', 'RateLimit-Reset': '741600', 'Retry-After': '741600' } });
    assert.deepEqual(await rows('SELECT * FROM list_conversations($1)', [user]), []);
  },
  'a model outside of the plan is 403': async () => {
    const denied = await row('SELECT * FROM consume_quota($1, p_model => $2)', [await new_user(), 'large']);
    assert.deepEqual([denied.reason, denied.error_code], ['model_not_in_plan', 'UQ003']);
    assert.deepEqual(answer_to(denied, k_now), { status: 403, headers: {} });
  },
  'maintenance is 503': async () => {
    const user = await new_user();
    const denied = await with_configuration('maintenance_mode', 'true', async (owner) => (await owner.query('SELECT * FROM consume_quota($1)', [user])).rows[0]);
    assert.deepEqual([denied.reason, denied.error_code], ['maintenance', 'UQ004']);
    assert.deepEqual(answer_to(denied, k_now), { status: 503, headers: {} });
  },
  'a rate limit is 429, with seconds to wait': async () => {
    const key = `address ${randomUUID()}`;
    const call = () => row('SELECT * FROM rate_limit($1, $2, $3)', [key, 2, '1 minute']);
    const admitted = { allowed: true, limit_value: 2, retry_after_seconds: null, reason: null, error_code: null, http_status: null };
    assert.deepEqual(await call(), { ...admitted, remaining: 1, reset_after_seconds: 30 });
    assert.deepEqual(await call(), { ...admitted, remaining: 0, reset_after_seconds: 60 });
    assert.deepEqual(await call(), { allowed: false, limit_value: 2, remaining: 0, retry_after_seconds: 30, reset_after_seconds: 60, reason: 'rate_limited',
                                     error_code: 'UQ002', http_status: 429 });
  },
  'an error has its SQLSTATE in code': async () => {
    const user = await new_user();
    await refused('22004', 'SELECT * FROM consume_quota($1)', [null]);
    await refused('P0002', 'SELECT * FROM consume_quota($1)', [randomUUID()]);
    await refused('22P02', 'SELECT * FROM consume_quota($1)', ['no uuid']);
    await refused('22023', 'SELECT * FROM consume_quota($1, $2)', [user, 'picture']);
    await refused('22023', 'SELECT * FROM consume_quota($1, p_quantity => $2)', [user, 0]);
    await refused('42501', 'SELECT set_subscription($1, $2)', [user, 'base']);
    await row('SELECT * FROM consume_quota($1, p_idempotency_key => $2)', [user, 'once']);
    await refused('UQ006', 'SELECT * FROM consume_quota($1, p_quantity => 2, p_idempotency_key => $2)', [user, 'once']);
    const { reservation_id } = await row('SELECT * FROM reserve_usage($1, 10)', [user]);
    await refused('UQ009', 'SELECT * FROM settle_usage($1, $2, 1, 1)', [user, reservation_id]);
    assert.deepEqual(await row('SELECT release_usage($1, $2)', [user, reservation_id]), { release_usage: true });
    await refused('55000', 'SELECT * FROM settle_usage($1, $2, 1, 1, 0)', [user, reservation_id]);
  },
  'raise_if_denied makes a denial an error, and an admission stays a row': async () => {
    const user = await new_user();
    const sql = 'SELECT d.*, raise_if_denied(d) FROM consume_quota($1, p_quantity => $2) AS d';
    assert.equal((await row(sql, [user, 19])).used, '19');
    await assert.rejects(rows(sql, [user, 2]),
      { code: 'UQ001', message: 'quota is exceeded', detail: 'Of the limit of 20 for "message", 19 are used and 0 are held.' });
    assert.equal(await used(user), '19');
  },
  'a denial leaves the transaction usable, and a rollback takes the count back': async () => {
    const user = await new_user();
    const client = await application.connect();
    try {
      await client.query('BEGIN');
      assert.equal((await client.query('SELECT * FROM consume_quota($1, p_quantity => 21)', [user])).rows[0].allowed, false);
      assert.equal((await client.query('SELECT * FROM consume_quota($1, p_quantity => 20)', [user])).rows[0].allowed, true);
      await client.query('ROLLBACK');
    } finally {
      client.release(true);
    }
    assert.equal(await used(user), '0');
  },
  'a prepared statement counts once each time it is executed': async () => {
    const user = await new_user();
    const client = await application.connect();
    try {
      for (let count = 1; count <= 8; ++count) {
        const statement = { name: 'consume', text: 'SELECT * FROM consume_quota($1, p_quantity => $2)', values: [user, count % 2 + 1] };
        assert.equal((await client.query(statement)).rows[0].allowed, true);
      }
      assert.deepEqual((await client.query("SELECT count(*) FROM pg_prepared_statements WHERE name = 'consume'")).rows, [{ count: '1' }]);
    } finally {
      client.release(true);
    }
    assert.equal(await used(user), '12');
  },
  'connections of a pool together get no more than the limit': async () => {
    const user = await new_user();
    const decisions = await Promise.all(Array.from({ length: 40 }, () => row('SELECT * FROM consume_quota($1)', [user])));
    assert.equal(decisions.filter((decision) => decision.allowed).length, 20);
    assert.equal(await used(user), '20');
  },
  'SELECT * FROM f() calls f once; SELECT (f()).* once for each of its columns, which is why nobody should': async () => {
    const user = await new_user();
    const answer = await row('SELECT * FROM consume_quota($1, $2)', [user, 'api_call']);
    assert.equal(await used(user, 'api_call'), '1');
    await row('SELECT (consume_quota($1, $2)).*', [user, 'api_call']);
    assert.equal(await used(user, 'api_call'), String(1 + Object.keys(answer).length));
  },
};

run(tests).then(() => application.end());
