// The API through Drizzle, and the traps that docs/clients.md names.
const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { run } = require('./tap.js');

let pg, drizzle, orm, core;
try {
  pg = require('pg');
  drizzle = require('drizzle-orm/node-postgres').drizzle;
  orm = require('drizzle-orm');
  core = require('drizzle-orm/pg-core');
} catch {
  console.log('1..0 # SKIP Node has no pg or no drizzle-orm');
  process.exit();
}

const { eq, sql } = orm;
const pool = new pg.Pool({ user: 'claude_gpt_client', max: 4 });
const db = drizzle(pool);
const users = core.pgSchema('claude_gpt_data').table('users', {
  id: core.uuid('id').primaryKey().default(sql`claude_gpt.uuid_v7()`),
  email: core.varchar('email', { length: 255 }).notNull(),
  passwordHash: core.varchar('password_hash', { length: 255 }).notNull(),
  monthlyTokenCount: core.bigint('monthly_token_count', { mode: 'bigint' }).notNull().default(0n),
  totalCost: core.numeric('total_cost', { precision: 20, scale: 9 }).notNull().default('0'),
  createdAt: core.timestamp('created_at', { withTimezone: true }),
});

const new_user = async () => (await db.insert(users).values({ email: `${randomUUID()}@example.com`, passwordHash: 'x' }).returning())[0];
const stored = async (user) => (await db.select().from(users).where(eq(users.id, user.id)))[0];
const row = async (statement) => (await db.execute(statement)).rows[0];
const refused = (sqlstate, statement) => assert.rejects(db.execute(statement), (error) => {
  assert.equal(error.cause?.code, sqlstate);
  assert.equal(error.code, undefined);
  return true;
});

const tests = {
  'a turn is begun, saved and completed': async () => {
    const user = await new_user();
    const conversation = undefined;
    const turn = await row(sql`SELECT * FROM begin_turn(p_user_id => ${user.id}::uuid, p_conversation_id => ${conversation ?? null}::uuid,
      p_content => ${'Hello'}, p_model => ${'small'}, p_metadata => ${JSON.stringify({ from: 'web' })})`);
    assert.deepEqual([turn.allowed, turn.limit_value, turn.remaining], [true, '20', '19']);
    await db.execute(sql`SELECT save_partial(${user.id}, ${turn.reservation_id}, ${'Good'})`);
    const completed = await row(sql`SELECT * FROM complete_turn(${user.id}, ${turn.reservation_id}, ${'Good day.'}, ${1000}, ${400})`);
    assert.deepEqual([completed.total_tokens, completed.charged_cost], ['1400', '0.001100000']);
    const { monthlyTokenCount, totalCost } = await stored(user);
    assert.deepEqual([monthlyTokenCount, totalCost], [1400n, '0.001100000']);
  },
  'a table has its default id, and maintained columns stay away from what is set': async () => {
    const user = await new_user();
    assert.match(user.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    await db.update(users).set({ email: `${randomUUID()}@example.com` }).where(eq(users.id, user.id));
    await db.update(users).set({ ...user, email: `${randomUUID()}@example.com` }).where(eq(users.id, user.id));  // nothing has moved
    await db.execute(sql`SELECT update_user_usage(${user.id}, 1, 5)`);
    await assert.rejects(db.update(users).set({ ...user, email: 'x' }).where(eq(users.id, user.id)), (error) => error.cause.code === '42501');
  },
  'undefined is a syntax error, null a NULL': async () => {
    const user = await new_user();
    await refused('42601', sql`SELECT * FROM consume_quota(${user.id}, p_model => ${undefined})`);
    assert.equal((await row(sql`SELECT used FROM consume_quota(${user.id}, p_model => ${null})`)).used, '1');
  },
  'an array is a list, unless it is a parameter': async () => {
    const user = await new_user();
    await refused('22P02', sql`SELECT id FROM users WHERE id = ANY (${[user.id]})`);
    assert.deepEqual(await row(sql`SELECT id FROM users WHERE id = ANY (${sql.param([user.id])})`), { id: user.id });
  },
  'a moment that execute brings is text': async () => {
    const { resets_at } = await row(sql`SELECT resets_at FROM consume_quota(${(await new_user()).id})`);
    assert.equal(typeof resets_at, 'string');
    assert.deepEqual(new Date(resets_at), new Date('2026-12-01T00:00:00Z'));
  },
  'a count beyond a JS number and the smallest cost arrive whole': async () => {
    const user = await new_user();
    assert.equal((await row(sql`SELECT used FROM consume_quota(${user.id}, 'api_call', ${2n ** 53n + 1n})`)).used, '9007199254740993');
    const { reservation_id } = await row(sql`SELECT reservation_id FROM reserve_usage(${user.id}, 10)`);
    assert.equal((await row(sql`SELECT charged_cost FROM settle_usage(${user.id}, ${reservation_id}, 1, 1, ${'0.000000001'})`)).charged_cost, '0.000000001');
    await refused('22P02', sql`SELECT * FROM consume_quota(${user.id}, p_quantity => ${1.5})`);
  },
  'a denial is a row, raise_if_denied an error with its SQLSTATE in the cause': async () => {
    const user = await new_user();
    const denied = await row(sql`SELECT * FROM consume_quota(${user.id}, p_quantity => 21)`);
    assert.deepEqual([denied.allowed, denied.http_status], [false, 402]);
    await refused('UQ001', sql`SELECT d.*, raise_if_denied(d) FROM consume_quota(${user.id}, p_quantity => 21) AS d`);
  },
  'a transaction that is rolled back counts nothing': async () => {
    const user = await new_user();
    await assert.rejects(db.transaction(async (transaction) => {
      assert.equal((await transaction.execute(sql`SELECT used FROM consume_quota(${user.id})`)).rows[0].used, '1');
      transaction.rollback();
    }));
    assert.equal((await row(sql`SELECT used FROM quota_status(${user.id}) WHERE action = 'message'`)).used, '0');
  },
};

run(tests).finally(() => pool.end());
