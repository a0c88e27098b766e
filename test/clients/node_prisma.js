// The API through Prisma with its driver for pg, and the traps that docs/clients.md names. The client is generated here, by
// Prisma without its engines, which its driver does not need.
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { run } = require('./tap.js');

let PrismaPg, prisma_folder;
try {
  ({ PrismaPg } = require('@prisma/adapter-pg'));
  prisma_folder = path.dirname(require.resolve('prisma/package.json'));
} catch {
  console.log('1..0 # SKIP Node has no prisma or no @prisma/adapter-pg');
  process.exit();
}

const k_schema = `
generator client {
  provider = "prisma-client-js"
  output   = "./generated"
}
datasource db {
  provider = "postgresql"
  schemas  = ["claude_gpt_data"]
}
model users {
  id                  String    @id @default(dbgenerated("claude_gpt.uuid_v7()")) @db.Uuid
  email               String    @db.VarChar(255)
  password_hash       String    @db.VarChar(255)
  full_name           String?   @db.VarChar(100)
  monthly_token_count BigInt    @default(0)
  total_cost          Decimal   @default(0) @db.Decimal(20, 9)
  created_at          DateTime? @default(now()) @db.Timestamptz(6)
  @@schema("claude_gpt_data")
}
`;
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'prisma.'));
let prisma;

function generate() {
  fs.writeFileSync(path.join(scratch, 'schema.prisma'), k_schema);
  fs.writeFileSync(path.join(scratch, 'prisma.config.js'), "module.exports = { schema: 'schema.prisma' };\n");
  fs.symlinkSync(path.dirname(prisma_folder), path.join(scratch, 'node_modules'));
  const { bin } = require(path.join(prisma_folder, 'package.json'));
  // Engines are looked for although they are not used: any program will do.
  execFileSync(process.execPath, [path.join(prisma_folder, bin.prisma), 'generate'], { cwd: scratch, stdio: 'pipe',
    env: { ...process.env, HOME: scratch, PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_QUERY_ENGINE_LIBRARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' } });
  const { PrismaClient } = require(path.join(scratch, 'generated'));
  prisma = new PrismaClient({ adapter: new PrismaPg({ user: 'claude_gpt_client', host: process.env.PGHOST, port: Number(process.env.PGPORT), database: process.env.PGDATABASE, max: 4 }) });
}

const new_user = () => prisma.users.create({ data: { email: `${randomUUID()}@example.com`, password_hash: 'x' } });
const row = async (...query) => (await prisma.$queryRaw(...query))[0];
const refused = (sqlstate, promise) => assert.rejects(promise, (error) => {
  assert.equal(error.code, 'P2010');
  assert.equal(error.meta.driverAdapterError.cause.originalCode, sqlstate);
  return true;
});

const tests = {
  'a turn is begun, saved and completed': async () => {
    const user = await new_user();
    const turn = await row`SELECT * FROM begin_turn(${user.id}::uuid, ${null}::uuid, ${'Hello'}, ${'small'}, ${600}::integer)`;
    assert.deepEqual([turn.allowed, turn.limit_value, turn.remaining], [true, 20n, 19n]);
    await prisma.$executeRaw`SELECT save_partial(${user.id}::uuid, ${turn.reservation_id}::uuid, ${'Good'})`;
    const completed = await row`SELECT * FROM complete_turn(${user.id}::uuid, ${turn.reservation_id}::uuid, ${'Good day.'}, ${1000}::integer, ${400}::integer)`;
    assert.deepEqual([completed.total_tokens, completed.charged_cost.toFixed(9)], [1400n, '0.001100000']);
    const stored = await prisma.users.findUnique({ where: { id: user.id } });
    assert.deepEqual([stored.monthly_token_count, stored.total_cost.toFixed(9)], [1400n, '0.001100000']);
  },
  'void cannot be read, and fails after it has done its work': async () => {
    const user = await new_user();
    const { reservation_id, assistant_message_id } = await row`SELECT * FROM begin_turn(${user.id}::uuid, NULL, ${'Hello'}, ${'small'})`;
    await assert.rejects(prisma.$queryRaw`SELECT save_partial(${user.id}::uuid, ${reservation_id}::uuid, ${'Good'})`);
    assert.equal((await row`SELECT content FROM messages WHERE id = ${assistant_message_id}::uuid`).content, 'Good');
    await prisma.$executeRaw`SELECT release_usage(user_id, id) FROM usage_reservations WHERE false`;
  },
  'a table has its default id, and maintained columns stay away from what is set': async () => {
    const user = await new_user();
    assert.match(user.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    await prisma.users.update({ where: { id: user.id }, data: { full_name: 'Ana' } });
    await prisma.users.update({ where: { id: user.id }, data: { ...user, full_name: 'Bea' } });  // nothing maintained has moved
    await prisma.$executeRaw`SELECT update_user_usage(${user.id}::uuid, 1, 5)`;
    await assert.rejects(prisma.users.update({ where: { id: user.id }, data: { ...user, full_name: 'Cleo' } }));
    assert.equal((await prisma.users.findUnique({ where: { id: user.id } })).full_name, 'Bea');
  },
  'a count beyond a JS number and the smallest cost arrive whole': async () => {
    const user = await new_user();
    const { used } = await row`SELECT used FROM consume_quota(${user.id}::uuid, 'api_call', ${2n ** 53n + 1n})`;
    assert.equal(used, 9007199254740993n);
    assert.throws(() => JSON.stringify({ used }), TypeError);
    const { reservation_id } = await row`SELECT reservation_id FROM reserve_usage(${user.id}::uuid, 10)`;
    const { charged_cost } = await row`SELECT charged_cost FROM settle_usage(${user.id}::uuid, ${reservation_id}::uuid, 1, 1, ${'0.000000001'}::numeric)`;
    assert.deepEqual([charged_cost.toFixed(9), String(charged_cost)], ['0.000000001', '1e-9']);
  },
  'a denial is a row, raise_if_denied an error with its SQLSTATE': async () => {
    const user = await new_user();
    const denied = await row`SELECT * FROM consume_quota(${user.id}::uuid, p_quantity => 21)`;
    assert.deepEqual([denied.allowed, denied.http_status], [false, 402]);
    await refused('UQ001', prisma.$queryRaw`SELECT raise_if_denied(d)::text FROM consume_quota(${user.id}::uuid, p_quantity => 21) AS d`);
  },
  'a transaction that is rolled back counts nothing': async () => {
    const user = await new_user();
    await assert.rejects(prisma.$transaction(async (transaction) => {
      assert.equal((await transaction.$queryRaw`SELECT used FROM consume_quota(${user.id}::uuid)`)[0].used, 1n);
      throw new Error('no');
    }), /no/);
    assert.equal((await row`SELECT used FROM quota_status(${user.id}::uuid) WHERE action = 'message'`).used, 0n);
  },
};

async function main() {
  generate();
  await run(tests);
}

main().finally(async () => {
  await prisma?.$disconnect();
  fs.rmSync(scratch, { recursive: true, force: true });
});
