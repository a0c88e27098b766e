// The end of a turn in examples/node when something refuses it: whatever that is, the reply is stored as far as it can be,
// and the charge is whole. The example's server runs in this process, with a model that does what a test tells it.
const assert = require('node:assert/strict');
const { createHash, randomUUID } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: wait } = require('node:timers/promises');
const example = require('./compiled_example.js');
const { run } = require('./tap.js');

const modules = example.find_modules();
const pg = require(path.join(modules, 'pg'));
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'claude_gpt_ends.'));
const k_database = 'claude_gpt_turn_ends';
const k_role = 'claude_gpt_turn_ends';
const k_question = 'How are you?';  // three tokens
const k_prices = { small: { prompt: 0.5, cachedPrompt: 0.05, cacheWrite: 0.75, completion: 1.5 } };
let admin, application, chat_server, url, logged, Database, endTurn, endAbandonedTurns;

const rows = async (sql, parameters) => (await admin.query(sql, parameters)).rows;
const row = async (sql, parameters) => (await rows(sql, parameters))[0];

// ---- the model

const model = {
  countTokens: (text) => text.split(/\s+/).filter(Boolean).length,
  script: undefined,
  asked: 0,
  async *reply(messages, signal) {
    this.asked += 1;
    yield* this.script(signal);
  },
};

// A script of pieces of text, of remarks, and of things that happen meanwhile.
async function* script(steps, signal) {
  for (const step of steps) {
    if (typeof step === 'function') await step(signal);
    else yield step;
  }
}

const counted = (prompt, completion, cached = 0, written = 0) =>
  ({ promptTokens: prompt, completionTokens: completion, cachedPromptTokens: cached, cacheWriteTokens: written });

// ---- calls

async function new_user() {
  const token = randomUUID();
  const { id } = await row("INSERT INTO users (email, password_hash) VALUES ($1, 'x') RETURNING id", [`${randomUUID()}@example.com`]);
  await rows("INSERT INTO user_sessions (user_id, session_token, expires_at) VALUES ($1, $2, now() + interval '1 day')", [id, createHash('sha256').update(token).digest('hex')]);
  return { id, token };
}

// One question to the server, and what the model does then.
async function chat(user, steps, { key, ...body } = {}) {
  model.script = (signal) => script(steps, signal);
  logged = [];
  const response = await fetch(`${url}/chat`, { method: 'POST', body: JSON.stringify({ model: 'small', content: k_question, ...body }),
    headers: { Authorization: `Bearer ${user.token}`, ...(key ? { 'Idempotency-Key': key } : {}) } });
  const text = await response.text();
  if (response.headers.get('content-type') !== 'text/event-stream') return { status: response.status, body: JSON.parse(text) };
  const events = text.split('\n\n').filter((block) => block.startsWith('event: ')).map((block) => {
    const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block);
    return { name, ...JSON.parse(data) };
  });
  return { status: response.status, events, last: events.at(-1) };
}

const last_reply = (user) => row("SELECT * FROM messages WHERE user_id = $1 AND role = 'assistant' ORDER BY id DESC LIMIT 1", [user.id]);
const was_logged = (event) => logged.map((line) => JSON.parse(line)).find((line) => line.event === event);

// In millionths: what the numbers cost by k_prices.
const cost_of = ({ promptTokens: p, completionTokens: c, cachedPromptTokens: r, cacheWriteTokens: w }) => (p - r - w) * 0.5 + r * 0.05 + w * 0.75 + c * 1.5;

// Of a user who has had one turn: the counters, the ledger and the reservation say the same, nothing is held, and no reply waits.
async function assert_charged_once(user, usage) {
  const tokens = usage.promptTokens + usage.completionTokens;
  const cost = (cost_of(usage) / 1e6).toFixed(9);
  const counters = await row(`SELECT monthly_message_count, total_message_count, monthly_token_count, total_token_count, monthly_cost, total_cost,
    held_message_count, held_token_count, held_cost, next_hold_expiry FROM users WHERE id = $1`, [user.id]);
  assert.deepEqual(Object.values(counters).map(String), ['1', '1', String(tokens), String(tokens), cost, cost, '0', '0', '0.000000000', 'null']);
  assert.deepEqual(await rows('SELECT usage_type, sum(quantity) AS quantity, sum(cost) AS cost FROM usage_records WHERE user_id = $1 GROUP BY 1 ORDER BY 1', [user.id]),
    [{ usage_type: 'message', quantity: '1', cost: '0.000000000' }, { usage_type: 'token', quantity: String(tokens), cost }]);
  await assert_nothing_waits(user);
}

async function assert_nothing_waits(user) {
  assert.deepEqual(await rows("SELECT id FROM usage_reservations WHERE user_id = $1 AND status = 'open'", [user.id]), []);
  assert.deepEqual(await rows("SELECT id FROM messages WHERE user_id = $1 AND status = 'sending'", [user.id]), []);
  assert.deepEqual(await rows('SELECT * FROM prove_books()'), []);
}

async function assert_stored(user, { status, content, usage }) {
  const reply = await last_reply(user);
  assert.deepEqual([reply.status, reply.content], [status, content]);
  assert.deepEqual([reply.prompt_tokens, reply.completion_tokens, reply.cost], [usage.promptTokens, usage.completionTokens, (cost_of(usage) / 1e6).toFixed(9)]);
  assert.deepEqual(await row('SELECT total_tokens, total_cost FROM conversations WHERE id = $1', [reply.conversation_id]),
    { total_tokens: String(usage.promptTokens + usage.completionTokens), total_cost: (cost_of(usage) / 1e6).toFixed(9) });
  await assert_charged_once(user, usage);
  return reply;
}

// ---- faults

// The database refuses changes of messages where the condition on NEW holds: always, or the first so many times.
async function while_refused(condition, sqlstate, work, times = null) {
  await rows('DROP SEQUENCE IF EXISTS public.refusals');
  await rows('CREATE SEQUENCE public.refusals');
  await rows(`CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    IF (${condition}) AND (${times === null} OR nextval('public.refusals') <= ${times ?? 0}) THEN RAISE EXCEPTION 'refused by the test' USING ERRCODE = '${sqlstate}'; END IF;
    RETURN NEW; END $$`);
  await rows('CREATE TRIGGER refuse BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION public.refuse()');
  try {
    return await work();
  } finally {
    await rows('DROP FUNCTION public.refuse CASCADE');
  }
}

const set_prices = (prices) => rows("UPDATE system_configs SET config_value = $1 WHERE config_key = 'model_prices'", [JSON.stringify(prices)]);
const set_maintenance = (value) => rows("UPDATE system_configs SET config_value = $1 WHERE config_key = 'maintenance_mode'", [JSON.stringify(value)]);
const let_holds_expire = (user) => rows("UPDATE usage_reservations SET created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' WHERE user_id = $1", [user.id]);

// What a crash leaves of a turn under claude_gpt.turn_commit = asynchronous: nothing.
async function take_back(user) {
  for (const table of ['conversations', 'usage_reservations', 'idempotency_keys']) await rows(`DELETE FROM ${table} WHERE user_id = $1`, [user.id]);
  await rows('UPDATE users SET held_message_count = 0, held_token_count = 0, held_cost = 0, next_hold_expiry = NULL WHERE id = $1', [user.id]);
}

// A turn that is begun, and whose end the test says itself.
async function begin_turn(user) {
  const request = { userId: user.id, conversationId: null, content: k_question, model: 'small', parentMessageId: null, estimatedTokens: 100, holdMinutes: 15, idempotencyKey: null };
  const turn = await application.beginTurn(request);
  const price = await application.price('small');
  return { turn, end: { request, reservationId: turn.reservation_id, price, content: 'I am well.', metadata: undefined, usage: counted(3, 3), failure: undefined, isStopped: false } };
}

// The database of the application, with some of its calls replaced.
const with_calls = (calls) => new Proxy(application, { get: (target, name) => calls[name] ?? target[name].bind(target) });

const tests = {
  'U+0000 and half surrogate pairs are stored as U+FFFD': async () => {
    const user = await new_user();
    const { last } = await chat(user, ['a\0b', ' \ud83d', '\ude00', ' \ude00\ud83d', ' end\ud83d']);
    await assert_stored(user, { status: 'sent', content: 'a\ufffdb \u{1f600} \ufffd\ufffd end\ufffd', usage: counted(3, 5) });
    assert.deepEqual([last.name, last.total_tokens, last.charged_cost], ['done', '8', '0.000009000']);
  },
  'so they are in what is saved while it streams': async () => {
    const user = await new_user();
    const partial = async () => {
      while (!was_logged('partial_not_saved') && (await last_reply(user)).content === '') await wait(20);
    };
    // The saver takes the first piece that comes after half a second.
    const clock = Date.now;
    await chat(user, ['a\0b', async () => { Date.now = () => clock() + 1000; }, '\ud83d', async () => { Date.now = clock; await partial(); }, '\ude00']);
    assert.equal(was_logged('partial_not_saved'), undefined);
    await assert_stored(user, { status: 'sent', content: 'a\ufffdb\u{1f600}', usage: counted(3, 3) });
  },
  'metadata with them, deep and in keys, is stored; a backslash stays one': async () => {
    const user = await new_user();
    await chat(user, ['Well.', { metadata: { source: '\0', 'k\0\ud83d': [{ deep: 'x\ude00' }], pair: '\u{1f600}', path: 'C:\\u0000\\ud83d', line: '\n"\\' } }]);
    const { metadata } = await assert_stored(user, { status: 'sent', content: 'Well.', usage: counted(3, 1) });
    assert.deepEqual(metadata, { source: '\ufffd', 'k\ufffd\ufffd': [{ deep: 'x\ufffd' }], pair: '\u{1f600}', path: 'C:\\u0000\\ud83d', line: '\n"\\' });
  },
  'metadata that is no JSON, or that is refused, is left away: the reply is sent': async () => {
    const circle = {};
    circle.circle = circle;
    let deep = [];
    for (let depth = 0; depth < 5000; ++depth) deep = [deep];
    for (const metadata of [circle, { n: 1n }, deep, () => 1]) {
      const user = await new_user();
      await chat(user, ['Well.', { metadata }]);
      assert.equal((await assert_stored(user, { status: 'sent', content: 'Well.', usage: counted(3, 1) })).metadata, null);
    }
    const user = await new_user();
    await while_refused("NEW.metadata ? 'bad'", '22P05', () => chat(user, ['Well.', { metadata: { bad: 1 } }]));
    assert.equal((await assert_stored(user, { status: 'sent', content: 'Well.', usage: counted(3, 1) })).metadata, null);
  },
  'what the model counted is charged, cached tokens that it counts apart too': async () => {
    for (const [said, usage] of [[counted(1000, 400, 600, 100), counted(1000, 400, 600, 100)], [counted(3, 550, 0, 12304), counted(12307, 550, 0, 12304)],
      [counted(100, 5, 90, 20), counted(210, 5, 90, 20)], [{ promptTokens: 10, completionTokens: 5 }, counted(10, 5)]]) {
      const user = await new_user();
      await chat(user, ['Well.', { usage: said }]);
      await assert_stored(user, { status: 'sent', content: 'Well.', usage });
    }
  },
  'usage as its provider reports it is charged, and where the database refuses it what the server counted': async () => {
    for (const [reported, usage] of [
      [{ prompt_tokens: 1000, completion_tokens: 400, prompt_tokens_details: { cached_tokens: 600 } }, counted(1000, 400, 600)],
      [{ input_tokens: 3, output_tokens: 550, cache_creation_input_tokens: 12304, service_tier: '\0' }, counted(12307, 550, 0, 12304)],
      [[{ inputTokens: 5, outputTokens: 6, inputTokenDetails: { cacheReadTokens: undefined } }, { promptTokenCount: 1, thoughtsTokenCount: 2 }], counted(6, 8)],
      [{}, counted(0, 3 + 512)],
      [{ tokens: 5 }, counted(3, 1)], [{ inputTokens: 9, outputTokens: 9, cachedInputTokens: 9 }, counted(3, 1)], [null, counted(3, 1)]]) {
      for (const failing of [[], [() => { throw new Error('broke off'); }]]) {
        const user = await new_user();
        await chat(user, ['Well.', { reported }, ...failing]);
        await assert_stored(user, { status: failing.length ? 'failed' : 'sent', content: 'Well.', usage });
      }
    }
  },
  'numbers that no one can charge, none, and zero are replaced by those that the server counted': async () => {
    for (const said of [undefined, counted(0, 0), counted(-1, 5), counted(1.5, 5), counted(NaN, 5), counted(2 ** 31 - 1, 1), counted(1e300, 1), counted(null, 5), counted(3, '5'), { completionTokens: undefined }]) {
      const user = await new_user();
      await chat(user, ['I', ' am', { usage: said }]);
      await assert_stored(user, { status: 'sent', content: 'I am', usage: counted(3, 2) });
    }
  },
  'a reply that is too long is cut, and charged whole': async () => {
    const user = await new_user();
    const { last } = await chat(user, ['x', '\u{1f600}'.repeat(1_500_000), 'never said']);
    assert.equal(last.name, 'done');
    await assert_stored(user, { status: 'sent', content: `x${'\u{1f600}'.repeat(499_999)}\ufffd`, usage: counted(3, 2) });
  },
  'a reply that the database refuses is charged, with the content if that is stored as failed, and without it otherwise': async () => {
    const user = await new_user();
    const { last } = await while_refused("NEW.status = 'sent'", '23514', () => chat(user, ['I', ' am']));
    const { error_message } = await assert_stored(user, { status: 'failed', content: 'I am', usage: counted(3, 2) });
    assert.equal(error_message, 'the reply could not be stored: refused by the test (23514)');
    assert.deepEqual([last.name, last.error, last.total_tokens, last.charged_cost], ['error', 'not_stored', '5', '0.000004500']);
    const other = await new_user();
    await while_refused("NEW.content LIKE '%am%'", '54000', () => chat(other, ['I', ' am']));
    await assert_stored(other, { status: 'failed', content: '', usage: counted(3, 2) });
  },
  'a reply that was stopped is stored so, and where that is refused, without metadata or as failed': async () => {
    const metadata = { bad: 1 };
    for (const [condition, status] of [['false', 'stopped'], ["NEW.metadata ? 'bad'", 'stopped'], ["NEW.status = 'stopped'", 'failed']]) {
      const user = await new_user();
      const { end } = await begin_turn(user);
      const stopped = { ...end, metadata, failure: 'the client went away', isStopped: true };
      const { as } = await while_refused(condition, '23514', () => endTurn(application, stopped));
      assert.equal(as, status);
      await assert_stored(user, { status, content: 'I am well.', usage: counted(3, 3) });
    }
  },
  'a charge that does not fit beside the reply is made without it': async () => {
    const user = await new_user();
    const { last } = await while_refused('NEW.total_tokens > 0', '22003', () => chat(user, ['I', ' am']));
    assert.deepEqual([last.name, last.error], ['error', 'not_stored']);
    assert.equal((await last_reply(user)).status, 'failed');
    await assert_charged_once(user, counted(3, 2));
    assert.equal(was_logged('turn_not_charged'), undefined);
  },
  'a turn whose every end is refused is told to the log with its numbers, and charged when the refusal is over': async () => {
    const user = await new_user();
    await while_refused('true', '23514', async () => {
      const { turn, end } = await begin_turn(user);
      assert.deepEqual(await endTurn(application, end), { as: 'nothing' });
      const { at, event, ...told } = was_logged('turn_not_charged');
      assert.deepEqual(told, { user_id: user.id, reservation_id: turn.reservation_id, model: 'small', ...counted(3, 3), error: 'refused by the test (23514)' });
      await let_holds_expire(user);
      await endAbandonedTurns(application, model);
      assert.equal(was_logged('abandoned_turn_not_ended').error, 'refused by the test (23514)');
    });
    await rows("UPDATE messages SET content = 'I am well.' WHERE user_id = $1 AND status = 'sending'", [user.id]);
    await endAbandonedTurns(application, model);
    await assert_stored(user, { status: 'failed', content: 'I am well.', usage: counted(3, 3) });
  },
  'a model without a price is not asked': async () => {
    const user = await new_user();
    const asked = model.asked;
    const { status, body } = await chat(user, ['free'], { model: 'unpriced' });
    assert.deepEqual([status, body.error, model.asked], [403, 'model_without_price', asked]);
    assert.equal(was_logged('model_without_price').model, 'unpriced');
    assert.deepEqual(await rows('SELECT id FROM messages WHERE user_id = $1', [user.id]), []);
    await assert_nothing_waits(user);
  },
  'where the price is taken away meanwhile, that of the beginning is charged': async () => {
    for (const failing of [[], [async () => { throw new Error('the model broke off'); }]]) {
      const user = await new_user();
      try {
        await chat(user, ['I', ' am', () => set_prices({}), { usage: counted(1001, 333, 100, 7) }, ...failing]);
      } finally {
        await set_prices(k_prices);
      }
      await assert_stored(user, { status: failing.length ? 'failed' : 'sent', content: 'I am', usage: counted(1001, 333, 100, 7) });
    }
  },
  'the cost that is computed by the price of the beginning is that of the database, to its last place': async () => {
    try {
      for (const small of [{ prompt: 0.000000001, completion: 123456.789012345, cachedPrompt: 0.1 }, { prompt: 2.5, completion: 7, cacheWrite: 0.3 }]) {
        await set_prices({ small });
        for (const usage of [counted(499999, 3, 250000, 77), counted(1, 1), counted(1500, 0), counted(2147000000, 1)]) {
          const user = await new_user();
          const { end } = await begin_turn(user);
          const { settlement } = await endTurn(application, { ...end, usage });
          assert.equal(await application.cost(end.price, usage), settlement.charged_cost);
          await assert_nothing_waits(user);
        }
      }
    } finally {
      await set_prices(k_prices);
    }
  },
  'a model that breaks off with U+0000 in its reply and in its error is charged': async () => {
    const user = await new_user();
    await chat(user, ['a\0b', async () => { throw new Error('bad byte \0 \ud83d'); }]);
    const { error_message } = await assert_stored(user, { status: 'failed', content: 'a\ufffdb', usage: counted(3, 1) });
    assert.equal(error_message, 'bad byte \ufffd \ufffd');
  },
  'a reply that takes too long is stopped and charged before its hold ends': async () => {
    const user = await new_user();
    const { setTimeout } = globalThis;
    const [limit] = /longestTurnMillis = (.*);/.exec(fs.readFileSync(path.join(scratch, 'example/src/turns.ts'), 'utf8')).slice(1).map(eval);
    globalThis.setTimeout = (callback, delay, ...rest) => setTimeout(callback, delay === limit ? 100 : delay, ...rest);
    try {
      await chat(user, ['I', (signal) => new Promise((resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))]);
    } finally {
      globalThis.setTimeout = setTimeout;
    }
    assert.equal((await assert_stored(user, { status: 'failed', content: 'I', usage: counted(3, 1) })).error_message, 'the reply took too long');
    const { held } = await row("SELECT extract(epoch FROM expires_at - created_at) * 1000 AS held FROM usage_reservations WHERE user_id = $1", [user.id]);
    assert.ok(Number(held) > limit + 120_000, `${held}`);
  },
  'a reply whose message or conversation was deleted meanwhile is charged whole': async () => {
    for (const statement of ["UPDATE messages SET status = 'deleted' WHERE user_id = $1 AND status = 'sending'", "DELETE FROM messages WHERE user_id = $1 AND status = 'sending'",
      'DELETE FROM conversations WHERE user_id = $1']) {
      const user = await new_user();
      const { last } = await chat(user, ['I', ' am', () => rows(statement, [user.id]), ' well.']);
      assert.deepEqual([last.total_tokens, last.charged_cost], ['6', '0.000006000'], statement);
      await assert_charged_once(user, counted(3, 3));
    }
  },
  'a user who was deleted meanwhile is told to the log, at once': async () => {
    const user = await new_user();
    const { last } = await chat(user, ['I', ' am', () => rows('DELETE FROM users WHERE id = $1', [user.id])]);
    assert.deepEqual([last.name, last.error], ['error', 'not_stored']);
    const { user_id, promptTokens, completionTokens, error } = was_logged('turn_not_charged');
    assert.deepEqual([user_id, promptTokens, completionTokens], [user.id, 3, 2]);
    assert.match(error, /P0002/);
    await assert_nothing_waits(user);
  },
  'a turn that a crash took back is begun anew by its key, or without one, and its reply is stored': async () => {
    for (const key of ['the-key', undefined]) {
      const user = await new_user();
      const { events, last } = await chat(user, ['I', ' am', () => take_back(user), ' well.'], { key });
      assert.equal(last.name, 'done');
      assert.notEqual(last.message_id, events[0].assistant_message_id);
      const { id, parent_message_id } = await assert_stored(user, { status: 'sent', content: 'I am well.', usage: counted(3, 3) });
      assert.equal(id, last.message_id);
      assert.equal((await row('SELECT content FROM messages WHERE id = $1', [parent_message_id])).content, k_question);
    }
  },
  'and where it may not be begun, it is charged all the same': async () => {
    const user = await new_user();
    try {
      const { last } = await chat(user, ['I', ' am', () => take_back(user), () => set_maintenance(true)]);
      assert.deepEqual([last.name, last.error], ['error', 'not_stored']);
    } finally {
      await set_maintenance(false);
    }
    await assert_charged_once(user, counted(3, 2));
  },
  'a turn that somebody else has given back is charged all the same': async () => {
    const user = await new_user();
    await chat(user, ['I', ' am', () => rows("SELECT fail_turn($1, id, 'stopped') FROM usage_reservations WHERE user_id = $1", [user.id])]);
    assert.deepEqual((await last_reply(user)).status, 'failed');
    await assert_charged_once(user, counted(3, 2));
  },
  'what may pass is waited for, and counts once': async () => {
    for (const sqlstate of ['40001', '40P01', '53300', '57P01', '57P03', '08006', '25006', '57014']) {
      const user = await new_user();
      const { last } = await while_refused("NEW.status = 'sent'", sqlstate, () => chat(user, ['I', ' am']), 2);
      assert.equal(last.name, 'done', sqlstate);
      await assert_stored(user, { status: 'sent', content: 'I am', usage: counted(3, 2) });
    }
  },
  'connections that are cut when the turn ends are replaced': async () => {
    const user = await new_user();
    const { last } = await chat(user, ['I', ' am', () => rows('SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE usename = $1', [k_role])]);
    assert.equal(last.name, 'done');
    await assert_stored(user, { status: 'sent', content: 'I am', usage: counted(3, 2) });
  },
  'an answer that is lost after its commit is asked for again, and counts once': async () => {
    for (const [name, sqlstate] of [['completeTurn', undefined], ['failTurn', '23514'], ['recordTurn', '22003']]) {
      const user = await new_user();
      let calls = 0;
      const losing = with_calls({ [name]: async (...parameters) => {
        const answer = await application[name](...parameters);
        calls += 1;
        if (calls === 1) throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
        return answer;
      } });
      const { end } = await begin_turn(user);
      const condition = { 23514: "NEW.status = 'sent'", 22003: 'NEW.total_tokens > 0' }[sqlstate] ?? 'false';
      const { as } = await while_refused(condition, sqlstate ?? '23514', () => endTurn(losing, end));
      assert.equal(as, { completeTurn: 'sent', failTurn: 'failed', recordTurn: 'charged' }[name]);
      assert.equal(calls, 2);
      await assert_charged_once(user, counted(3, 3));
    }
  },
  'an answer that is lost while the price is taken away counts once': async () => {
    const user = await new_user();
    const { end } = await begin_turn(user);
    let calls = 0;
    const losing = with_calls({ completeTurn: async (...parameters) => {
      const answer = await application.completeTurn(...parameters);
      calls += 1;
      if (calls === 1) throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
      return answer;
    } });
    await set_prices({});
    try {
      assert.equal((await endTurn(losing, end)).as, 'sent');
    } finally {
      await set_prices(k_prices);
    }
    await assert_stored(user, { status: 'sent', content: 'I am well.', usage: counted(3, 3) });
  },
  'a database that stays away is given up, the log says what was not charged, and what was saved is charged later': async () => {
    const user = await new_user();
    const { turn, end } = await begin_turn(user);
    await application.savePartial(user.id, turn.reservation_id, 'I am');
    const away = with_calls({ completeTurn: async () => { throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }); } });
    logged = [];
    assert.deepEqual(await endTurn(away, end, 500), { as: 'nothing' });
    const { at, event, ...told } = was_logged('turn_not_charged');
    assert.deepEqual(told, { user_id: user.id, reservation_id: turn.reservation_id, model: 'small', ...counted(3, 3), error: 'connect ECONNREFUSED (ECONNREFUSED)' });
    await let_holds_expire(user);
    await endAbandonedTurns(application, model);
    await assert_stored(user, { status: 'failed', content: 'I am', usage: counted(3, 2) });
  },
  'a turn whose server was killed is ended by any that runs, once, and costs what was saved of it': async () => {
    const user = await new_user();
    const { turn } = await begin_turn(user);
    await application.savePartial(user.id, turn.reservation_id, 'I am well');
    await endAbandonedTurns(application, model);
    assert.equal((await last_reply(user)).status, 'sending', 'its hold has not expired');
    await let_holds_expire(user);
    await Promise.all([endAbandonedTurns(application, model), endAbandonedTurns(application, model)]);
    await endAbandonedTurns(application, model);
    const { error_message } = await assert_stored(user, { status: 'failed', content: 'I am well', usage: counted(3, 3) });
    assert.equal(error_message, 'the server went away');
    const silent = await new_user();
    await begin_turn(silent);
    await let_holds_expire(silent);
    await endAbandonedTurns(application, model);
    assert.equal((await last_reply(silent)).status, 'failed');
    assert.deepEqual(await rows('SELECT id FROM usage_records WHERE user_id = $1', [silent.id]), [], 'not one word was saved');
    await assert_nothing_waits(silent);
  },
  'an end that comes after another one took the server for dead counts no second time': async () => {
    const user = await new_user();
    const { turn, end } = await begin_turn(user);
    await application.savePartial(user.id, turn.reservation_id, 'I am');
    await let_holds_expire(user);
    await endAbandonedTurns(application, model);
    assert.deepEqual(await endTurn(application, end), { as: 'charged' });
    await assert_stored(user, { status: 'failed', content: 'I am', usage: counted(3, 2) });
  },
};

// ---- the run

async function make_database() {
  const owner = new pg.Client({ database: 'postgres', user: 'postgres' });
  await owner.connect();
  try {
    await owner.query(`DROP DATABASE IF EXISTS ${k_database} WITH (FORCE)`);
    await owner.query(`DROP ROLE IF EXISTS ${k_role}`);
    await owner.query(`CREATE DATABASE ${k_database}`);
    await owner.query(`CREATE ROLE ${k_role} LOGIN`);
    const now = new Date(Math.floor(Date.now() / 1000) * 1000).toISOString();
    await owner.query(`ALTER DATABASE ${k_database} SET claude_gpt.fixed_time = '${now.replace(/\.\d+/, '')}'`);  // the month does not end meanwhile
  } finally {
    await owner.end();
  }
  admin = new pg.Pool({ database: k_database, user: 'postgres', max: 2, options: '-c search_path=claude_gpt_data,claude_gpt,public' });
  await rows('CREATE EXTENSION claude_gpt');
  await rows('SELECT grant_application_access($1)', [k_role]);
  await rows("UPDATE system_configs SET config_value = $1 WHERE config_key = 'subscription_plans'", [JSON.stringify({ free: { messagesPerMonth: 1000 } })]);
  await rows("UPDATE system_configs SET is_active = false WHERE config_key = 'rate_limits'");
  await set_prices(k_prices);
}

async function start_chat_server() {
  const built = (name) => example.built(scratch, `src/${name}.js`);
  const [{ ChatServer }, { noCache }, database, ends, abandoned] =
    await Promise.all(['chat_server', 'cache', 'database', 'turn_ends', 'abandoned_turns'].map(built));
  ({ Database } = database);
  ({ endTurn } = ends);
  ({ endAbandonedTurns } = abandoned);
  const pool = new pg.Pool({ database: k_database, user: k_role, max: 4, query_timeout: 600_000 });
  pool.on('error', () => {});  // connections that a test cuts
  application = new Database(pool);
  chat_server = new ChatServer({ database: application, cache: noCache, changes: undefined, model });
  await new Promise((resolve) => chat_server.server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${chat_server.server.address().port}`;
  return pool;
}

async function main() {
  console.error = (line) => logged.push(line);  // the example's log
  logged = [];
  await Promise.all([example.compile(modules, scratch), make_database()]);
  const pool = await start_chat_server();
  await run(tests, (error) => `${error.stack}\n${logged.slice(-5).join('\n')}`);
  await chat_server.close(0);
  await pool.end();
  await admin.end();
}

main().catch((error) => {
  console.log(`Bail out! ${error.stack}`);
  process.exit(1);
}).finally(() => fs.rmSync(scratch, { recursive: true, force: true }));
