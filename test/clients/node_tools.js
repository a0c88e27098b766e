// What tools that read the catalog make of the tables: drizzle-kit, kysely-codegen, PostGraphile, better-auth. Each by the
// settings that docs/clients.md names.
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const tap = require('./tap.js');

let pg, typescript;
try {
  pg = require('pg');
  typescript = require('typescript');
} catch {
  console.log('1..0 # SKIP Node has no pg or no typescript');
  process.exit();
}

const folder_of = (name) => (process.env.NODE_PATH ?? '').split(path.delimiter).map((folder) => path.join(folder, name)).find((folder) => fs.existsSync(folder));
const { PGHOST, PGPORT = '5432', PGDATABASE } = process.env;
const PGUSER = process.env.PGUSER ?? os.userInfo().username;
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'tools.'));
const application = new pg.Pool({ user: 'claude_gpt_client', max: 4 });
const owner = new pg.Pool({ user: PGUSER, max: 1, options: '-c search_path=claude_gpt_data,claude_gpt' });
const row = async (...query) => (await application.query(...query)).rows[0];
const new_user = async () => (await row('INSERT INTO users (email) VALUES ($1) RETURNING id', [`${randomUUID()}@example.com`])).id;
// New partitions, so that a tool could take them for tables.
const make_partitions = (year) => owner.query(`CALL claude_gpt.create_partitions('audit_logs', '${year}-01-01Z', '${year}-02-01Z')`);

// A program of a package, in a folder where what it writes finds the package and its neighbours.
function run(name, program, ...parameters) {
  return execFileSync(process.execPath, [path.join(folder_of(name), program), ...parameters],
    { cwd: scratch, encoding: 'utf8', input: '', stdio: 'pipe', timeout: 120_000, env: { ...process.env, HOME: scratch } });
}

function link_packages() {
  const link = path.join(scratch, 'node_modules');
  if (!fs.existsSync(link)) fs.symlinkSync(path.dirname(folder_of('drizzle-kit') ?? folder_of('kysely-codegen')), link);
}

// Source in TypeScript, loaded as it is, without a look at its types.
function load(file) {
  const { outputText } = typescript.transpileModule(fs.readFileSync(file, 'utf8'), { compilerOptions: { module: 'CommonJS', target: 'ES2022' } });
  fs.writeFileSync(`${file}.cjs`, outputText);
  return require(`${file}.cjs`);
}

// name of the test => [ packages, test ]
const tests = {
  'drizzle-kit pulls a schema that loads and reads': [['drizzle-kit', 'drizzle-orm'], async () => {
    fs.writeFileSync(path.join(scratch, 'drizzle.config.js'), `module.exports = { dialect: 'postgresql', schemaFilter: ['claude_gpt_data'], out: './out', schema: './out/schema.ts',
      strict: true, verbose: true, dbCredentials: { host: '${PGHOST}', port: ${PGPORT}, user: '${PGUSER}', database: '${PGDATABASE}', ssl: false } };`);
    link_packages();
    run('drizzle-kit', 'bin.cjs', 'pull', '--config=drizzle.config.js');
    const source = fs.readFileSync(path.join(scratch, 'out/schema.ts'), 'utf8');
    assert.doesNotMatch(source, /unknown|TODO/);
    assert.doesNotMatch(source, /_default|_20\d\d/, 'partitions are no tables');
    const schema = load(path.join(scratch, 'out/schema.ts'));
    const { drizzle } = require('drizzle-orm/node-postgres');
    const { eq } = require('drizzle-orm');
    const id = await new_user();
    const [user] = await drizzle(application).select().from(schema.usersInClaudeGptData).where(eq(schema.usersInClaudeGptData.id, id));
    assert.deepEqual([user.subscriptionTier, user.nextHoldExpiry, user.passwordHash], ['free', null, null]);
  }],
  'drizzle-kit pushes no change, after new partitions either': [['drizzle-kit', 'drizzle-orm'], async () => {
    await make_partitions(2003);
    const said = run('drizzle-kit', 'bin.cjs', 'push', '--config=drizzle.config.js');
    assert.match(said, /No changes detected/);
  }],
  'kysely-codegen writes types that its queries compile with': [['kysely', 'kysely-codegen'], async () => {
    link_packages();
    run('kysely-codegen', 'dist/cli/bin.js', '--dialect=postgres', '--default-schema=claude_gpt_data', '--include-pattern=claude_gpt_data.*', '--out-file=db.d.ts',
      `--url=postgres://${PGUSER}@localhost:${PGPORT}/${PGDATABASE}?host=${encodeURIComponent(PGHOST)}`);
    const source = fs.readFileSync(path.join(scratch, 'db.d.ts'), 'utf8');
    assert.doesNotMatch(source, /\bunknown\b|\bany\b|_default: |_20\d\d/);
    for (const table of ['users', 'messages', 'usage_records', 'audit_logs', 'job_status']) assert.match(source, new RegExp(`^  ${table}: `, 'm'));
    fs.writeFileSync(path.join(scratch, 'queries.ts'), `import type { Kysely } from 'kysely';
      import type { DB } from './db';
      export const user = (db: Kysely<DB>, id: string) => db.selectFrom('users').select(['email', 'subscription_tier', 'next_hold_expiry']).where('id', '=', id).executeTakeFirst();
      export const late = (db: Kysely<DB>) => db.selectFrom('job_status').select('name').where('lateness_seconds', '>', '600').execute();
      export const sign_up = (db: Kysely<DB>, email: string) => db.insertInto('users').values({ email }).execute();`);
    run('kysely-codegen', '../typescript/lib/tsc.js', '--noEmit', '--strict', '--skipLibCheck', '--target', 'ES2022', '--module', 'NodeNext', '--moduleResolution', 'NodeNext', 'queries.ts');
  }],
  'PostGraphile serves tables and functions to the application': [['postgraphile', 'graphql'], async () => {
    const { createPostGraphileSchema, withPostGraphileContext } = require('postgraphile');
    const { graphql } = require('graphql');
    const schema = await createPostGraphileSchema(application, ['claude_gpt_data', 'claude_gpt'], { includeExtensionResources: true, ignoreRBAC: false });
    const ask = async (source, id) => {
      const { data, errors } = await withPostGraphileContext({ pgPool: application }, (context) => graphql(schema, source, null, context, { id }));
      assert.equal(errors, undefined);
      return JSON.parse(JSON.stringify(data));
    };
    const id = await new_user();
    assert.deepEqual(await ask('mutation($id: UUID!) { consumeQuota(input: { pUserId: $id, pAction: "message", pQuantity: "1" }) { result: query { effectiveTier(pUserId: $id) } } }', id),
      { consumeQuota: { result: { effectiveTier: 'free' } } });
    assert.deepEqual(await ask('query($id: UUID!) { userById(id: $id) { nextHoldExpiry monthlyMessageCount } quotaStatus(pUserId: $id, first: 1) { nodes { action used } } }', id),
      { userById: { nextHoldExpiry: null, monthlyMessageCount: 1 }, quotaStatus: { nodes: [{ action: 'message', used: '1' }] } });
  }],
  'better-auth signs up into users, and makes no users beside them': [['better-auth'], async () => {
    const from = (file) => import(pathToFileURL(path.join(folder_of('better-auth'), 'dist', file)));
    const { betterAuth } = await from('index.mjs');
    const { getMigrations } = await from('db/get-migration.mjs');
    const auth = betterAuth({
      database: application, secret: randomUUID() + randomUUID(), baseURL: 'http://localhost', emailAndPassword: { enabled: true }, telemetry: { enabled: false }, logger: { level: 'error' },
      advanced: { database: { generateId: 'uuid' } },
      user: { modelName: 'users', fields: { name: 'full_name', image: 'avatar_url', emailVerified: 'email_verified', createdAt: 'created_at', updatedAt: 'updated_at' } },
      session: { modelName: 'auth_sessions' }, account: { modelName: 'auth_accounts' }, verification: { modelName: 'auth_verifications' },
    });
    const migration = await getMigrations(auth.options);
    assert.deepEqual([migration.toBeCreated.map((table) => table.table).sort(), migration.toBeAdded], [['auth_accounts', 'auth_sessions', 'auth_verifications'], []]);
    await owner.query(await migration.compileMigrations());
    await owner.query('GRANT SELECT, INSERT, UPDATE, DELETE ON auth_sessions, auth_accounts, auth_verifications TO claude_gpt_client');
    try {
      const again = await getMigrations(auth.options);
      assert.deepEqual([again.toBeCreated, again.toBeAdded], [[], []]);
      const email = `${randomUUID()}@example.com`;
      const { user } = await auth.api.signUpEmail({ body: { email, password: 'correct horse', name: 'Ada' } });
      assert.equal((await auth.api.signInEmail({ body: { email, password: 'correct horse' } })).user.id, user.id);
      assert.deepEqual(await row('SELECT email, password_hash, full_name, subscription_tier FROM claude_gpt_data.users WHERE id = $1', [user.id]),
        { email, password_hash: null, full_name: 'Ada', subscription_tier: 'free' });
      assert.equal((await row('SELECT allowed FROM consume_quota($1)', [user.id])).allowed, true);
      assert.equal((await row("SELECT to_regclass('public.users') AS other")).other, null);
    } finally {
      await owner.query('DROP TABLE auth_sessions, auth_accounts, auth_verifications');
    }
  }],
};

// Each where Node has the packages that it is about.
const runnable = Object.fromEntries(Object.entries(tests).map(([name, [packages, test]]) => {
  const missing = packages.filter((wanted) => !folder_of(wanted));
  return [name, missing.length > 0 ? () => tap.skip(`Node has no ${missing.join(', no ')}`) : test];
}));

tap.run(runnable, (error) => `${error.stack}\n${error.stdout ?? ''}\n${error.stderr ?? ''}`).finally(async () => {
  fs.rmSync(scratch, { recursive: true });
  await Promise.all([application.end(), owner.end()]);
});
