// The chat server of examples/node, compiled and run as in production: TLS and a password to a PostgreSQL server of its
// own, and a Redis server of its own, which this test stops, stalls and brings back under it.
const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const { createHash, randomUUID } = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { setTimeout: wait } = require('node:timers/promises');
const example = require('./compiled_example.js');
const { run, skip } = require('./tap.js');

const k_root = path.resolve(__dirname, '../..');
const k_example = path.join(k_root, 'examples/node');
const k_channel = 'claude_gpt_changes';
const k_password = 'a password: it\'s "secret"';
const k_patience = 300_000; // only what never comes costs it

const modules = example.find_modules('redis-server', 'openssl');
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'claude_gpt_chat.'));
const children = new Set();
const pg = require(path.join(modules, 'pg'));
const redis = require(path.join(modules, 'redis'));
// The clock of metering stands still, so that no unit of a rate comes back and no month ends meanwhile.
const k_held = new Date(Math.floor(Date.now() / 1000) * 1000);
const k_month_ends = Date.UTC(k_held.getUTCFullYear(), k_held.getUTCMonth() + 1);
let admin, pg_port, redis_port, redis_server, store, server;

const tool = (name, ...parameters) => execFileSync(path.join(k_root, 'tools', name), parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' });

function free_port() {
  return new Promise((resolve, reject) => {
    const listener = net.createServer().on('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
}

async function until(what, condition) {
  const deadline = Date.now() + k_patience;
  for (let last; ;) {
    try {
      const value = await condition();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`, { cause: last });
    await wait(20);
  }
}

// Ends with this process, however that ends.
function start_child(command, parameters, options) {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...parameters], options);
  children.add(child);
  child.ended = new Promise((resolve) => child.on('exit', (code, signal) => {
    children.delete(child);
    resolve(signal ?? code);
  }));
  return child;
}

// ---- the servers

const built = (file) => example.built(scratch, file);

const start_postgres = () => tool('private-server', 'start', path.join(scratch, 'srv'), '--', 'fsync=off', "listen_addresses = '127.0.0.1'", `port = ${pg_port}`,
  'ssl = on', `ssl_cert_file = '${scratch}/srv/tls/server.crt'`, `ssl_key_file = '${scratch}/srv/tls/server.key'`, `hba_file = '${scratch}/srv/hba.conf'`,
  'claude_gpt.jobs = off', "password_encryption = 'scram-sha-256'");
const stop_postgres = () => tool('private-server', 'stop', path.join(scratch, 'srv'));

async function make_postgres() {
  const folder = path.join(scratch, 'srv');
  fs.chmodSync(scratch, 0o755);
  fs.mkdirSync(folder);
  if (process.getuid() === 0) execFileSync('chown', [tool('unprivileged', '--user').trim(), folder]);
  pg_port = await free_port();
  const as_server = (...command) => tool('unprivileged', ...command);
  as_server('sh', '-c', 'umask 077; mkdir "$0/tls"; cd "$0/tls"; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost ' +
    '-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout server.key -out server.crt', folder);
  as_server('sh', '-c', 'printf "%s\\n" "local all postgres trust" "hostssl claude_gpt_prod claude_gpt_user 127.0.0.1/32 scram-sha-256" >"$0/hba.conf"', folder);
  fs.writeFileSync(path.join(scratch, 'ca.crt'), as_server('cat', path.join(folder, 'tls/server.crt')));
  start_postgres();
  await as_admin('postgres', 'CREATE DATABASE claude_gpt_prod');
  await as_admin('postgres', `CREATE ROLE claude_gpt_user LOGIN PASSWORD ${pg.Client.prototype.escapeLiteral(k_password)}`);
  tool('private-server', 'run', folder, 'psql', '-Xqv', 'ON_ERROR_STOP=1', '-v', 'role=claude_gpt_user', '-p', String(pg_port), '-d', 'claude_gpt_prod', '-f', copied_setup());
  await as_admin('claude_gpt_prod', `ALTER DATABASE claude_gpt_prod SET claude_gpt.fixed_time = '${k_held.toISOString().replace(/\.\d+/, '')}'`);
  admin = new pg.Pool({ ...admin_options(), database: 'claude_gpt_prod', max: 2, options: '-c search_path=claude_gpt_data,claude_gpt,public' });
  admin.on('error', () => {}); // the test stops the server
}

// The shipped file, with what belongs to this place set after it: the last value of a setting counts.
function start_pooler(program, port) {
  const folder = path.join(scratch, 'srv');
  const own = { listen_port: port, unix_socket_dir: folder, logfile: `${folder}/pool.log`, pidfile: `${folder}/pool.pid`, auth_file: `${folder}/users.txt`, default_pool_size: 2,
    client_tls_cert_file: `${folder}/tls/server.crt`, client_tls_key_file: `${folder}/tls/server.key`, server_tls_sslmode: 'require' };
  let file = fs.readFileSync(path.join(k_root, 'packaging/pgbouncer/pgbouncer.ini'), 'utf8').replace(/^\* = .*$/m, `* = host=127.0.0.1 port=${pg_port}`).replace(/^auth_(user|query) .*$/gm, '');
  // TLS as the file has it for whoever wants it.
  file = file.replace(/^;(client_tls_\w+ = )/gm, '$1');
  assert.match(file, /^client_tls_sslmode = require$/m);
  for (const [name, value] of Object.entries(own)) file = `${file.replace(new RegExp(`^${name} = .*$`, 'm'), '')}${name} = ${value}\n`;
  fs.writeFileSync(path.join(scratch, 'pool.ini'), file);
  tool('unprivileged', 'sh', '-c', 'umask 077; printf \'"claude_gpt_user" "%s"\\n\' "$1" > "$0/users.txt"', folder, k_password.replaceAll('"', '""'));
  return start_child(path.join(k_root, 'tools/unprivileged'), [program, '-q', path.join(scratch, 'pool.ini')], { stdio: 'ignore' });
}

// Where the server's user can read it.
function copied_setup() {
  const file = path.join(scratch, 'setup.sql');
  fs.copyFileSync(path.join(k_example, 'setup.sql'), file);
  fs.chmodSync(file, 0o644);
  return file;
}

const admin_options = () => ({ host: fs.readFileSync(path.join(scratch, 'srv/socket_directory'), 'utf8').trim(), port: pg_port, user: 'postgres' });

async function as_admin(database, sql) {
  const client = new pg.Client({ ...admin_options(), database });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const rows = async (sql, parameters) => (await admin.query(sql, parameters)).rows;
const row = async (sql, parameters) => (await rows(sql, parameters))[0];

// A change that no cache is told of: what stands in Redis is older than the database from then on.
async function change_unnoticed(sql, parameters) {
  const client = await admin.connect();
  try {
    await client.query('BEGIN');
    await client.query('ALTER TABLE users DISABLE TRIGGER notify_changed_users');
    await client.query(sql, parameters);
    await client.query('ALTER TABLE users ENABLE ALWAYS TRIGGER notify_changed_users');
    await client.query('COMMIT');
  } finally {
    client.release(true);
  }
}

const notify = (payload) => rows('SELECT pg_notify($1, $2)', [k_channel, typeof payload === 'string' ? payload : JSON.stringify(payload)]);

// Notifications arrive in the order of their transactions, so when this one was heard all before it were.
async function all_was_heard() {
  const probe = await new_user();
  await call('GET', '/me', probe);
  await change_unnoticed("UPDATE users SET full_name = 'Probe' WHERE id = $1", [probe.id]);
  await notify({ table: 'users', id: probe.id });
  await until('the last change is heard', async () => (await call('GET', '/me', probe)).body.full_name === 'Probe');
}

async function start_redis() {
  redis_server = start_child('redis-server', ['--bind', '127.0.0.1', '--port', String(redis_port), '--save', '', '--appendonly', 'no', '--dir', scratch], { stdio: 'ignore' });
  await until('Redis answers', () => new Promise((resolve, reject) => {
    const socket = net.connect(redis_port, '127.0.0.1').on('error', reject).on('data', () => { socket.destroy(); resolve(true); }).on('connect', () => socket.write('PING\r\n'));
  }));
}

// What stands in Redis, read past the application.
async function with_store(call) {
  const client = redis.createClient({ url: `redis://127.0.0.1:${redis_port}` });
  client.on('error', () => {});
  await client.connect();
  try {
    return await call(client);
  } finally {
    await client.disconnect();
  }
}

async function start_server(environment = {}) {
  const child = start_child(process.execPath, [path.join(scratch, 'example/build/src/main.js')], { stdio: ['ignore', 'pipe', 'pipe'], env: {
    PATH: process.env.PATH, NODE_ENV: 'production', PORT: '0', DB_HOST: '127.0.0.1', DB_PORT: String(pg_port), DB_PASSWORD: k_password,
    NODE_EXTRA_CA_CERTS: path.join(scratch, 'ca.crt'), REDIS_URL: `redis://127.0.0.1:${redis_port}`, FAKE_MODEL_DELAY_MS: '10', ...environment } });
  const started = { child, log: '', url: undefined };
  child.stderr.on('data', (text) => { started.log += text; });
  child.stdout.on('data', (text) => { started.url ??= /http:\S+/.exec(text)?.[0]; });
  await until('the chat server listens', () => started.url ?? (child.exitCode === null ? undefined : assert.fail(started.log)));
  return started;
}

async function stop_server(started) {
  started.child.kill('SIGTERM');
  return exit_of(started);
}

const exit_of = (started) => Promise.race([started.child.ended, wait(k_patience, 'has not ended', { ref: false })]);

const settled_cache = (on = server) => until('cache and changes are on', async () => {
  const { body } = await call('GET', '/health', {}, on);
  return body.cache === 'on' && body.changes === 'heard';
});

// ---- calls of a client

async function call(method, where, { token, body, headers } = {}, on = server) {
  const response = await fetch(on.url + where, { method, signal: AbortSignal.timeout(k_patience),
    headers: { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...headers },
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body) });
  const text = await response.text();
  const isEvents = response.headers.get('content-type') === 'text/event-stream';
  return { status: response.status, headers: response.headers, body: isEvents ? undefined : text && JSON.parse(text), events: isEvents ? events_of(text) : undefined };
}

const events_of = (text) => text.split('\n\n').filter((block) => block.startsWith('event: ')).map((block) => {
  const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(block);
  return { name, ...JSON.parse(data) };
});
const text_of = (events) => events.filter((event) => event.name === 'delta').map((event) => event.text).join('');

// Somebody with a session, past the limits of sign-ups by address.
async function new_user() {
  const email = `${randomUUID()}@example.com`;
  const token = randomUUID();
  const { id } = await row("INSERT INTO users (email, password_hash, full_name) VALUES ($1, 'x', 'Ana') RETURNING id", [email]);
  await rows("INSERT INTO user_sessions (user_id, session_token, expires_at) VALUES ($1, $2, now() + interval '1 day')", [id, createHash('sha256').update(token).digest('hex')]);
  return { id, email, token };
}

const chat = (user, content, { key, on, ...rest } = {}) =>
  call('POST', '/chat', { token: user.token, body: { model: 'gpt-3.5-turbo', content, ...rest }, headers: key ? { 'Idempotency-Key': key } : {} }, on);

// Begins to stream; more() gives the events so far, leave() hangs up.
async function open_chat(user, content, on = server) {
  const leaving = new AbortController();
  const response = await fetch(`${on.url}/chat`, { method: 'POST', signal: leaving.signal, headers: { Authorization: `Bearer ${user.token}` },
    body: JSON.stringify({ model: 'gpt-3.5-turbo', content }) });
  assert.equal(response.status, 200);
  const stream = { text: '', leave: () => leaving.abort(), events: () => events_of(stream.text.slice(0, stream.text.lastIndexOf('\n\n') + 2)) };
  stream.ended = (async () => {
    for await (const chunk of response.body) stream.text += Buffer.from(chunk).toString();
    return stream.events();
  })();
  stream.ended.catch(() => {});
  return stream;
}

const used = async (user) => Object.fromEntries((await rows('SELECT action, used, held FROM quota_status($1)', [user.id])).map((status) => [status.action, [Number(status.used), Number(status.held)]]));
const last_reply = (user) => row("SELECT * FROM messages WHERE user_id = $1 AND role = 'assistant' ORDER BY id DESC LIMIT 1", [user.id]);
const books_prove = async () => assert.deepEqual(await rows('SELECT * FROM prove_books()'), []);

async function with_configuration(key, value, work) {
  const before = await row('SELECT config_value FROM system_configs WHERE config_key = $1', [key]);
  await rows('UPDATE system_configs SET config_value = $2 WHERE config_key = $1', [key, JSON.stringify(value)]);
  try {
    return await work();
  } finally {
    await rows('UPDATE system_configs SET config_value = $2 WHERE config_key = $1', [key, JSON.stringify(before.config_value)]);
  }
}

// By the clock of the machine, between the moment of the call and now.
function assert_is_the_rest_of_the_month(seconds, asked_at) {
  const rest = (moment) => Math.max(0, Math.ceil((k_month_ends - moment) / 1000));
  assert.ok(rest(Date.now()) <= Number(seconds) && Number(seconds) <= rest(asked_at), `${seconds} s are the rest of the month`);
}

// ---- the properties, in an order: each leaves the servers running

const tests = {
  'development is in the file, production in the environment with TLS': async () => {
    const { getDatabaseConfig, poolOptions } = await built('config/database.js');
    const with_environment = (environment, look) => {
      const before = process.env;
      process.env = environment;
      try { return look(); } finally { process.env = before; }
    };
    assert.deepEqual(with_environment({ DB_HOST: 'elsewhere' }, getDatabaseConfig), { host: 'localhost', port: 5432, database: 'claude_gpt_dev', username: 'claude_gpt_user',
      password: 'claude_gpt_123', ssl: false, pool: { min: 2, max: 10, idleTimeoutMillis: 30000 } });
    assert.deepEqual(with_environment({ NODE_ENV: 'production' }, getDatabaseConfig), { host: 'localhost', port: 5432, database: 'claude_gpt_prod',
      username: 'claude_gpt_user', password: '', ssl: true, pool: { min: 5, max: 25, idleTimeoutMillis: 30000 } });
    const environment = { NODE_ENV: 'production', DB_HOST: 'db', DB_PORT: '6432', DB_NAME: 'd', DB_USERNAME: 'u', DB_PASSWORD: 'p' };
    const { host, port, database, user, password, ssl, max } = poolOptions(with_environment(environment, getDatabaseConfig));
    assert.deepEqual([host, port, database, user, password, ssl, max], ['db', 6432, 'd', 'u', 'p', true, 25]);
    for (const DB_PORT of ['no port', '0', '65536', '5432x']) assert.throws(() => with_environment({ ...environment, DB_PORT }, getDatabaseConfig), /DB_PORT/);
  },
  'a user signs up, logs in, chats and logs out': async () => {
    const email = `Ana.${randomUUID()}@example.com`;
    const password = 'correct horse';
    const signed_up = await call('POST', '/users', { body: { email, password, full_name: 'Ana' } });
    assert.equal(signed_up.status, 201);
    assert.equal((await call('POST', '/users', { body: { email: email.toLowerCase(), password } })).status, 409);
    const wrong = await call('POST', '/sessions', { body: { email, password: 'wrong horse' } });
    const unknown = await call('POST', '/sessions', { body: { email: 'nobody@example.com', password } });
    assert.deepEqual([wrong.status, wrong.body], [401, unknown.body]);
    const { status, body: { token, user_id } } = await call('POST', '/sessions', { body: { email: email.toLowerCase(), password } });
    assert.deepEqual([status, user_id], [201, signed_up.body.id]);
    const stored = await row('SELECT u.password_hash, s.session_token, s.ip_address FROM users AS u JOIN user_sessions AS s ON s.user_id = u.id WHERE u.id = $1', [user_id]);
    assert.match(stored.password_hash, /^scrypt\$/);
    assert.deepEqual([stored.session_token, stored.ip_address], [createHash('sha256').update(token).digest('hex'), '127.0.0.1']);

    const question = 'How do I start a sourdough?';
    const asked_at = Date.now();
    const { status: chatted, headers, events } = await chat({ token }, question);
    assert.deepEqual([chatted, headers.get('content-type'), headers.get('ratelimit-limit'), headers.get('ratelimit-remaining')], [200, 'text/event-stream', '10', '9']);
    assert_is_the_rest_of_the_month(headers.get('ratelimit-reset'), asked_at);
    assert.deepEqual(events.map((event) => event.name), ['turn', ...Array(8).fill('delta'), 'done']);
    assert.equal(text_of(events), `You said: ${question}`);
    const done = events.at(-1);
    assert.deepEqual([done.message_id, done.total_tokens, done.charged_cost], [events[0].assistant_message_id, '14', '0.000015000']);  // text, both: 6 * 0.5 + 8 * 1.5 millionths
    const next = await chat({ token }, '2 words', { conversation_id: events[0].conversation_id });
    assert.equal(next.events[0].conversation_id, events[0].conversation_id);
    assert.equal(next.events.at(-1).total_tokens, '18');  // the prompt is the whole path: 6 + 8 + 2
    const again = await call('POST', '/chat', { token, body: { model: 'gpt-3.5-turbo', conversation_id: events[0].conversation_id, parent_message_id: events[0].message_id } });
    assert.equal(text_of(again.events), `You said: ${question}`, 'regenerated');

    const [conversation] = (await call('GET', '/conversations', { token })).body;
    assert.deepEqual([conversation.id, conversation.message_count, conversation.total_tokens], [events[0].conversation_id, 5, '46']);
    assert.equal((await call('GET', `/conversations/${conversation.id}/messages`, { token })).body.length, 5);
    assert.equal((await call('GET', '/quota', { token })).body.month[0].used, '3');
    assert.equal((await call('DELETE', `/conversations/${conversation.id}`, { token })).status, 204);
    assert.deepEqual((await call('GET', '/conversations', { token })).body, []);
    assert.equal((await call('DELETE', '/sessions/current', { token })).status, 204);
    assert.equal((await call('GET', '/me', { token })).status, 401);
  },
  'all connections of the application are encrypted, and a server with an unknown certificate gets no password': async () => {
    const connections = await rows("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'claude_gpt_user'");
    assert.ok(connections.length >= 2, 'pool and listener');
    assert.ok(connections.every(({ ssl }) => ssl));
    const stranger = await start_server({ NODE_EXTRA_CA_CERTS: '' });
    const health = await call('GET', '/health', {}, stranger);
    assert.deepEqual([health.status, health.headers.get('retry-after')], [503, '5']);
    assert.match(stranger.log, /self.signed certificate/);
    assert.equal(await stop_server(stranger), 0);
  },
  'who is not logged in, or not any more, is 401': async () => {
    const user = await new_user();
    for (const token of [undefined, 'not one', `${user.token}x`]) assert.equal((await call('GET', '/me', { token })).status, 401);
    assert.equal((await call('GET', '/me', { token: user.token })).status, 200);
    await rows("UPDATE user_sessions SET expires_at = now() - interval '1 second' WHERE user_id = $1", [user.id]);
    const expired = await chat(user, 'Hello');
    assert.deepEqual([expired.status, expired.headers.get('www-authenticate')], [401, 'Bearer']);
  },
  'a call that is wrong is a client\'s error, and stores nothing': async () => {
    const [user, other] = [await new_user(), await new_user()];
    const { token } = user;
    const conversation = (await chat(other, 'Hello')).events[0].conversation_id;
    const status = async (...parameters) => (await call(...parameters)).status;
    const question = { model: 'gpt-3.5-turbo', content: 'Hello' };
    assert.equal(await status('GET', `/conversations/${conversation}/messages`, { token }), 404, 'somebody else\'s');
    assert.equal(await status('DELETE', `/conversations/${conversation}`, { token }), 404);
    assert.equal((await chat(user, 'Hello', { conversation_id: conversation })).status, 404);
    assert.equal(await status('GET', '/conversations/1/messages', { token }), 400);
    for (const body of ['', 'no JSON', '[]', '{}', { ...question, content: 5 }, { ...question, content: '' }, { ...question, content: 'a\0b' }, { ...question, model: 'x'.repeat(256) },
      { ...question, conversation_id: 'x' }]) {
      assert.equal(await status('POST', '/chat', { token, body }), 400, JSON.stringify(body));
    }
    assert.equal(await status('POST', '/chat', { token, body: question, headers: { 'Idempotency-Key': 'x'.repeat(256) } }), 400);
    assert.equal(await status('POST', '/chat', { token, body: { ...question, content: 'x'.repeat(1024 * 1024) } }), 413);
    assert.equal(await status('GET', '/nowhere', { token }), 404);
    assert.equal(await status('PUT', '/chat', { token }), 405);
    assert.deepEqual(await rows('SELECT id FROM messages WHERE user_id = $1', [user.id]), []);
    assert.deepEqual((await used(user)).message, [0, 0]);
  },
  'a model outside of the plan is 403, maintenance 503': async () => {
    const user = await new_user();
    const denied = await chat(user, 'Hello', { model: 'gpt-4' });
    assert.deepEqual([denied.status, denied.body.error, denied.headers.get('retry-after')], [403, 'model_not_in_plan', null]);
    const maintained = await with_configuration('maintenance_mode', true, () => chat(user, 'Hello'));
    assert.deepEqual([maintained.status, maintained.body.error], [503, 'maintenance']);
  },
  'a quota that is used up is 402, and says when it is there again': async () => {
    const user = await new_user();
    await rows('SELECT update_user_usage($1, 9)', [user.id]);
    assert.equal((await chat(user, 'Hello')).headers.get('ratelimit-remaining'), '0');
    const asked_at = Date.now();
    const denied = await chat(user, 'Hello');
    assert.deepEqual([denied.status, denied.body.error, denied.body.limit_name], [402, 'quota_exceeded', 'message']);
    assert.deepEqual(['ratelimit-limit', 'ratelimit-remaining'].map((name) => denied.headers.get(name)), ['10', '0']);
    assert.equal(denied.headers.get('retry-after'), String((k_month_ends - k_held) / 1000), 'at the end of the month');
    assert_is_the_rest_of_the_month(denied.headers.get('ratelimit-reset'), asked_at);
    assert.deepEqual((await used(user)).message, [10, 0]);
  },
  'too many calls a minute are 429, for a user and for an address': async () => {
    const user = await new_user();
    await with_configuration('rate_limits', { free: 2, base: 60, pro: 300 }, async () => {
      assert.deepEqual([(await chat(user, 'One')).status, (await chat(user, 'Two')).status], [200, 200]);
      const denied = await chat(user, 'Three');
      assert.deepEqual([denied.status, denied.body.error], [429, 'rate_limited']);
      assert.deepEqual(['ratelimit-limit', 'ratelimit-remaining', 'retry-after'].map((name) => denied.headers.get(name)), ['2', '0', '30']);
    });
    assert.deepEqual((await used(user)).message, [2, 0]);
    const statuses = [];
    let login;
    for (let count = 0; count < 12 && login?.status !== 429; ++count) {
      login = await call('POST', '/sessions', { body: { email: 'nobody@example.com', password: 'x' } });
      statuses.push(login.status);
    }
    assert.deepEqual(statuses.slice(-2), [401, 429]);
    assert.deepEqual(['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after'].map((name) => login.headers.get(name)), ['10', '0', '60', '6']);
  },
  'a crowd that signs up and logs in at the same moment is served, while others call': async () => {
    // Names are looked up by the threads that derive passwords: of three here one is left for them.
    const fresh = await start_server({ DB_HOST: 'localhost', NODE_OPTIONS: '--dns-result-order=ipv4first', UV_THREADPOOL_SIZE: '3' });
    const connected = await row("SELECT count(*)::integer AS connections FROM pg_stat_activity WHERE application_name = 'chat_server' AND backend_start > now() - interval '1 minute' AND state = 'idle' AND query NOT LIKE '%LISTEN%'");
    assert.ok(connected.connections >= 5, 'those that the pool keeps are connected before anybody calls');
    // Each of an address of its own, as behind no proxy.
    const from = (number, where, body) => new Promise((resolve, reject) => {
      const request = http.request(fresh.url + where, { method: 'POST', localAddress: `127.0.1.${number}`, agent: false }, (response) => {
        let text = '';
        response.on('data', (part) => { text += part; }).on('end', () => resolve(`${response.statusCode} ${response.statusCode === 201 ? '' : text}`));
      });
      request.on('error', reject).end(JSON.stringify(body));
    });
    const credentials = (number) => ({ email: `${number}@crowd.example.com`, password: 'correct horse' });
    const crowd = Array.from({ length: 90 }, (_, index) => index + 1);
    for (const where of ['/users', '/sessions']) {
      // One after the other, so that the pool has few connections when many passwords wait.
      const answers = [];
      for (const number of crowd) {
        answers.push(from(number, where, credentials(number)));
        assert.equal((await call('GET', '/health', {}, fresh)).status, 200);
      }
      const others = await Promise.all(crowd.slice(0, 20).map(() => call('GET', '/health', {}, fresh)));
      assert.deepEqual([...new Set(others.map(({ status }) => status))], [200], 'who needs another connection gets one');
      assert.deepEqual([...new Set(await Promise.all(answers))], ['201 '], where);
    }
    assert.equal(await stop_server(fresh), 0);
    assert.doesNotMatch(fresh.log, /timeout|database_unavailable/);
  },
  'passwords are derived by two at once, and whom there is no room for is told so': async () => {
    const { Gate } = await built('src/passwords.js');
    const gate = new Gate(2, 3);
    let inside = 0, most = 0;
    const ends = [];
    const work = () => new Promise((resolve) => { most = Math.max(most, ++inside); ends.push(() => { --inside; resolve('derived'); }); });
    const answers = Array.from({ length: 6 }, () => gate.through(work).catch((error) => [error.status, error.reason, error.headers['Retry-After']]));
    assert.deepEqual(await answers[5], [503, 'busy', '10']);
    for (let count = 0; count < 5; ++count) {
      await until('somebody is inside', () => ends.length > 0);
      ends.shift()();
    }
    assert.deepEqual(await Promise.all(answers.slice(0, 5)), Array(5).fill('derived'));
    assert.equal(most, 2);
    await assert.rejects(gate.through(() => Promise.reject(new Error('broken'))), /broken/);
    assert.equal(await Promise.race([gate.through(() => Promise.resolve('a place is free after an error too'))]), 'a place is free after an error too');
  },
  'the same Idempotency-Key is one charge and one reply': async () => {
    const user = await new_user();
    const first = await chat(user, '5 words', { key: 'once' });
    const second = await chat(user, '5 words', { key: 'once' });
    assert.deepEqual([first.events[0].replayed, second.events[0].replayed], [false, true]);
    assert.deepEqual({ ...second.events[0], replayed: false }, first.events[0]);
    assert.equal(text_of(second.events), text_of(first.events));
    assert.deepEqual([second.events.at(-1).total_tokens, second.events.at(-1).charged_cost], [first.events.at(-1).total_tokens, first.events.at(-1).charged_cost]);
    assert.equal((await chat(user, '6 words', { key: 'once' })).status, 422);
    assert.deepEqual((await used(user)).message, [1, 0]);

    const both = await Promise.all([chat(user, '30 words', { key: 'at-once' }), chat(user, '30 words', { key: 'at-once' })]);
    assert.deepEqual(both.map((answer) => answer.status).sort(), [200, 409]);
    assert.equal(both.find((answer) => answer.status === 409).headers.get('retry-after'), '1');
    assert.equal(text_of((await chat(user, '30 words', { key: 'at-once' })).events).split(' ').length, 30);
    assert.deepEqual((await used(user)).message, [2, 0]);
  },
  'what is streamed can be read meanwhile, by others': async () => {
    const user = await new_user();
    const stream = await open_chat(user, '120 words');
    const partial = await until('a part is stored', async () => (await last_reply(user)).content && last_reply(user));
    assert.equal(partial.status, 'sending');
    const events = await stream.ended;
    assert.ok(text_of(events).startsWith(partial.content) && text_of(events) !== partial.content);
    assert.equal((await last_reply(user)).content, text_of(events));
    assert.equal((await last_reply(user)).status, 'sent');
  },
  'a client that goes away pays for what was streamed': async () => {
    const user = await new_user();
    const stream = await open_chat(user, '500 words');
    await until('some of it arrived', () => text_of(stream.events()).split(' ').length > 5);
    stream.leave();
    const reply = await until('the turn is settled', async () => (await last_reply(user)).status !== 'sending' && last_reply(user));
    assert.deepEqual([reply.status, reply.error_message], ['stopped', null]);
    const words = reply.content.split(' ').length;
    assert.ok(words >= text_of(stream.events()).split(' ').length && words < 500);
    assert.equal(reply.completion_tokens, words);
    assert.deepEqual(await used(user), { message: [1, 0], token: [2 + words, 0], api_call: [0, 0], cost: [Math.ceil(1 + words * 1.5), 0] });
    await books_prove();
    const path = await rows("SELECT status, content FROM conversation_path($1, $2)", [user.id, reply.id]);
    assert.deepEqual(path.at(-1), { status: 'stopped', content: reply.content });
  },
  'a model that breaks off is an event, and costs what it gave': async () => {
    const user = await new_user();
    const { status, events } = await chat(user, 'Please fail now');
    assert.equal(status, 200);
    assert.deepEqual([text_of(events), events.at(-1).name, events.at(-1).message, events.at(-1).total_tokens], ['You said: Please', 'error', 'the model broke off', '6']);
    assert.deepEqual([(await last_reply(user)).status, (await last_reply(user)).content], ['failed', 'You said: Please']);
    assert.deepEqual(await used(user), { message: [1, 0], token: [6, 0], api_call: [0, 0], cost: [6, 0] });
    const deleted = await open_chat(user, '500 words');
    await until('it streams', () => deleted.events().length > 2);
    await rows("UPDATE messages SET status = 'deleted' WHERE id = $1", [deleted.events()[0].assistant_message_id]);
    assert.equal((await deleted.ended).at(-1).message, 'the reply was deleted');
  },
  'a model without a price is refused before it is asked, and told to the log': async () => {
    const user = await new_user();
    const refused = await with_configuration('model_prices', {}, () => chat(user, '5 words'));
    assert.deepEqual([refused.status, refused.body.error], [403, 'model_without_price']);
    assert.match(server.log, /model_without_price/);
    assert.deepEqual(await rows('SELECT id FROM messages WHERE user_id = $1', [user.id]), []);
  },
  'a turn whose server was killed is ended by the client that asks again, or by the next server, and costs what was saved of it': async () => {
    const [asking, silent] = [await new_user(), await new_user()];
    const doomed = await start_server();
    const asked = [asking, silent].map((user) => chat(user, '500 words', { key: 'again', on: doomed }).catch(() => 'hung up'));
    for (const user of [asking, silent]) await until('it streams', async () => (await last_reply(user))?.content);
    doomed.child.kill('SIGKILL');
    assert.deepEqual(await Promise.all(asked), ['hung up', 'hung up']);
    assert.equal((await chat(asking, '500 words', { key: 'again' })).status, 409);
    const end_of_hold = async (user) => {
      await rows("UPDATE usage_reservations SET created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' WHERE user_id = $1", [user.id]);
      await rows("UPDATE users SET next_hold_expiry = now() - interval '1 hour' WHERE id = $1", [user.id]);
    };
    await end_of_hold(asking);
    const { events } = await chat(asking, '500 words', { key: 'again' });
    assert.deepEqual([events.at(-1).name, events.at(-1).message], ['error', 'the server went away']);
    await end_of_hold(silent);
    const next = await start_server();
    await until('the next server has ended it', async () => (await last_reply(silent)).status === 'failed');
    assert.equal(await stop_server(next), 0);
    for (const user of [asking, silent]) {
      const words = (await last_reply(user)).content.split(' ').length;
      assert.deepEqual(await used(user), { message: [1, 0], token: [2 + words, 0], api_call: [0, 0], cost: [Math.ceil(1 + words * 1.5), 0] });
    }
    await books_prove();
  },
  'what is cached is taken from Redis, with the times to live of the configuration': async () => {
    const user = await new_user();
    await settled_cache();
    for (const where of ['/me', '/subscription', '/conversations', '/models']) assert.equal((await call('GET', where, user)).status, 200);
    const seconds = (key) => with_store((client) => client.ttl(`claude_gpt:${key}`));
    for (const [key, ttl] of [[`user:${user.id}`, 3600], [`conversation:${user.id}`, 7200], [`subscription:${user.id}`, 1800], ['config:public', 86400]]) {
      assert.ok(Math.abs(await seconds(key) - ttl) < 30, `${key} ${await seconds(key)}`);
    }
    await change_unnoticed("UPDATE users SET full_name = 'Bea' WHERE id = $1", [user.id]);
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Ana', 'the database was not asked');
    await call('PATCH', '/me', { token: user.token, body: { theme_preference: 'dark' } });
    const { full_name, theme_preference } = (await call('GET', '/me', user)).body;
    assert.deepEqual([full_name, theme_preference], ['Bea', 'dark'], 'the application forgets what it changes');
    await chat(user, 'Hello');
    assert.equal((await call('GET', '/conversations', user)).body.length, 1);
  },
  'a change that the database notifies is seen at once, whoever made it': async () => {
    const user = await new_user();
    const cached = async () => [(await call('GET', '/me', user)).body.full_name, (await call('GET', '/subscription', user)).body.effective_tier];
    assert.deepEqual(await cached(), ['Ana', 'free']);
    await rows("UPDATE users SET full_name = 'Bea' WHERE id = $1", [user.id]);
    await until('the change is seen', async () => String(await cached()) === 'Bea,free');
    await rows("SELECT set_subscription($1, 'pro')", [user.id]);
    await until('the subscription is seen', async () => String(await cached()) === 'Bea,pro');
    await all_was_heard();
    assert.deepEqual(await cached(), ['Bea', 'pro'], 'cached again, should a notification have come after the last look');
    await change_unnoticed("UPDATE users SET full_name = 'Cleo' WHERE id = $1", [user.id]);
    await notify({ table: 'users', id: randomUUID() });
    await notify({ table: 'audit_logs', id: user.id });
    await all_was_heard();
    assert.deepEqual(await cached(), ['Bea', 'pro'], 'others are not concerned');

    for (const payload of ['no JSON', '', 'null', { table: 5 }, { table: 'users', id: 5 }, { table: 'users' }]) {
      await change_unnoticed("UPDATE users SET full_name = 'Ana' WHERE id = $1", [user.id]);
      await call('PATCH', '/me', { token: user.token, body: {} });
      assert.equal((await cached())[0], 'Ana');
      await change_unnoticed("UPDATE users SET full_name = 'Bea' WHERE id = $1", [user.id]);
      assert.equal((await cached())[0], 'Ana');
      await notify(payload);  // not understood, or any row: everything may have changed
      await until('nothing is trusted', async () => (await cached())[0] === 'Bea');
    }

    const conversations = async () => (await call('GET', '/conversations', user)).body.length;
    assert.equal(await conversations(), 0);
    await rows("INSERT INTO conversations (user_id, title) VALUES ($1, 'imported')", [user.id]);
    assert.equal(await conversations(), 0, 'conversations notify nobody');
    const [, payload] = /pg_notify\('claude_gpt_changes', '(.*)'\)/.exec(fs.readFileSync(path.join(k_example, 'README.md'), 'utf8'));
    await notify(payload);
    await until('an import that says so as the README has it is seen', async () => (await conversations()) === 1);

    const models = async () => (await call('GET', '/models', user)).body.ai_models;
    const before = await models();
    assert.notDeepEqual(before, ['small']);
    await with_configuration('ai_models', ['small'], () => until('the configuration is seen', async () => String(await models()) === 'small'));
    await until('what it was before is seen', async () => String(await models()) === String(before));
    await with_configuration('cache_ttl', { user: 77, subscription: 'soon', other: 5 }, () => until('another time to live is used', async () => {
      await call('PATCH', '/me', { token: user.token, body: {} });
      await call('GET', '/me', user);
      const seconds = await with_store((client) => client.ttl(`claude_gpt:user:${user.id}`));
      return seconds > 0 && seconds <= 77;
    }));
  },
  'a value that was loaded before a change is not found after it': async () => {
    const { RedisCache } = await built('src/cache.js');
    console.error = () => {};  // its log, in this process
    const cache = await RedisCache.connect(`redis://127.0.0.1:${redis_port}`);
    const slow = {};
    const begin = () => cache.through('user', 'slow', () => new Promise((resolve) => { slow.load = resolve; }));
    await until('Redis is reached', () => cache.state() === 'on');
    for (const change of [() => cache.forget('user', 'slow'), () => cache.distrust(), () => with_store((client) => client.del('claude_gpt:version'))]) {
      const reading = begin();
      await until('it loads', () => slow.load);
      await change();
      slow.load('old');
      assert.equal(await reading, 'old');
      assert.equal(await cache.through('user', 'slow', async () => 'new'), 'new');
      assert.equal(await cache.through('user', 'slow', async () => 'newer'), 'new', 'and that is cached');
      await cache.forget('user', 'slow');
      delete slow.load;
    }
    await with_store((client) => client.set('claude_gpt:user:slow', 'no JSON'));
    assert.equal(await cache.through('user', 'slow', async () => 'mended'), 'mended');
    cache.pause();
    assert.equal(await cache.through('user', 'slow', async () => 'asked'), 'asked', 'nothing is taken while no change is heard');
    cache.resume();
    assert.equal(await cache.through('user', 'slow', async () => 'anew'), 'anew');
    await assert.rejects(cache.through('user', 'failing', async () => { throw new Error('not loaded'); }), /not loaded/);
    await cache.close();
  },
  'while the connection that hears of changes is lost nothing old is answered': async () => {
    const user = await new_user();
    await settled_cache();
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Ana');
    await change_unnoticed("UPDATE users SET full_name = 'Bea' WHERE id = $1", [user.id]);
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Ana');
    const lost = await rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'chat_server changes'");
    assert.equal(lost.length, 1);
    await until('the gap is noticed', async () => (await call('GET', '/me', user)).body.full_name === 'Bea');
    await settled_cache();
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Bea');
  },
  'one that is stopped while it connects lets the process end': async () => {
    const code = `import { PostgresChangeSource } from '${pathToFileURL(path.join(scratch, 'example/build/src/changes.js'))}';
      const source = new PostgresChangeSource(${JSON.stringify({ ...admin_options(), database: 'claude_gpt_prod' })});
      source.start({ onUp() {}, onDown() {}, onChange() {}, onUnknown() {} });
      await source.stop();`;
    assert.equal(await exit_of({ child: start_child(process.execPath, ['--input-type=module', '--eval', code], { stdio: 'ignore' }) }), 0);
  },
  'Redis that stalls delays nobody for long, and what changed meanwhile is not served old': async () => {
    const user = await new_user();
    await settled_cache();
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Ana');
    redis_server.kill('SIGSTOP');
    try {
      // While it stands still: whoever waited for it would wait for ever.
      assert.equal((await call('PATCH', '/me', { token: user.token, body: { full_name: 'Bea' } })).status, 204);
      assert.equal((await call('GET', '/me', user)).body.full_name, 'Bea');
      assert.equal((await chat(user, '2 words')).events.at(-1).name, 'done');
    } finally {
      redis_server.kill('SIGCONT');
    }
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Bea');
    await settled_cache();
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Bea');
  },
  'Redis killed in the middle of a day: everything works on, and is cached again when it is back': async () => {
    const user = await new_user();
    await settled_cache();
    const stream = await open_chat(user, '60 words');
    redis_server.kill('SIGKILL');
    await redis_server.ended;
    for (const where of ['/me', '/subscription', '/conversations', '/models']) assert.equal((await call('GET', where, user)).status, 200);
    assert.equal((await call('PATCH', '/me', { token: user.token, body: { full_name: 'Bea' } })).status, 204);
    assert.equal((await chat(user, '2 words')).events.at(-1).name, 'done');
    assert.equal((await stream.ended).at(-1).name, 'done');
    assert.deepEqual([(await call('GET', '/health')).status, (await call('GET', '/health')).body.cache], [200, 'off']);
    const started_without = await start_server();
    assert.equal((await call('GET', '/me', user, started_without)).status, 200);
    assert.equal(await stop_server(started_without), 0);
    await start_redis();
    await settled_cache();
    await all_was_heard();
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Bea');
    await change_unnoticed("UPDATE users SET full_name = 'Cleo' WHERE id = $1", [user.id]);
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Bea', 'from Redis');
  },
  'a Redis that lost its last writes, as at a failover, is not believed': async () => {
    const user = await new_user();
    await settled_cache();
    const keys = ['claude_gpt:version', `claude_gpt:user:${user.id}:version`, `claude_gpt:user:${user.id}`];
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Ana');
    const lagging = await with_store((client) => client.mGet(keys));
    await call('PATCH', '/me', { token: user.token, body: { full_name: 'Bea' } });
    await all_was_heard();
    await with_store((client) => client.mSet(keys.map((key, index) => [key, lagging[index]])));
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Ana', 'what it lost it cannot tell');
    await with_store((client) => client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes']));
    await until('the new connection begins anew', async () => (await call('GET', '/me', user)).body.full_name === 'Bea');
    await settled_cache();
    assert.equal((await call('GET', '/me', user)).body.full_name, 'Bea');
  },
  'through PgBouncer in transaction mode, with fewer connections than callers, it is the same': async () => {
    const program = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer', '/usr/local/bin/pgbouncer'].find((file) => fs.existsSync(file));
    if (!program) return 'PgBouncer is not installed';
    const port = await free_port();
    const pooler = start_pooler(program, port);
    const pooled = await start_server({ DB_PORT: String(port), DB_LISTEN_PORT: String(pg_port) });
    try {
      const users = await Promise.all(Array.from({ length: 8 }, new_user));
      const turns = await Promise.all(users.map((user) => chat(user, '30 words', { on: pooled })));
      assert.deepEqual(turns.map((turn) => turn.events.at(-1).name), users.map(() => 'done'));
      for (const user of users) assert.deepEqual((await used(user)).message, [1, 0]);
      await settled_cache(pooled);
      assert.equal((await call('GET', '/me', users[0], pooled)).body.full_name, 'Ana');
      await rows("UPDATE users SET full_name = 'Bea' WHERE id = $1", [users[0].id]);
      await until('the change is heard beside the pool', async () => (await call('GET', '/me', users[0], pooled)).body.full_name === 'Bea');
      pooler.kill('SIGKILL');
      await pooler.ended;
      assert.equal((await call('GET', '/me', users[1], pooled)).status, 503, 'a pool that is gone is told');
    } finally {
      pooler.kill('SIGKILL');
      await stop_server(pooled);
    }
    await books_prove();
  },
  'without REDIS_URL there is no cache': async () => {
    const user = await new_user();
    const plain = await start_server({ REDIS_URL: '' });
    assert.equal((await call('GET', '/health', {}, plain)).body.cache, 'none');
    assert.equal((await call('GET', '/me', user, plain)).body.full_name, 'Ana');
    await rows("UPDATE users SET full_name = 'Bea' WHERE id = $1", [user.id]);
    assert.equal((await call('GET', '/me', user, plain)).body.full_name, 'Bea');
    assert.equal(await stop_server(plain), 0);
  },
  'the database gone is 503, and a turn that streams meanwhile is charged once when it is back': async () => {
    const user = await new_user();
    const stream = await open_chat(user, '80 words');
    await until('it streams', () => stream.events().length > 2);
    stop_postgres();
    const refused = await call('GET', '/me', user);
    assert.deepEqual([refused.status, refused.body.error, refused.headers.get('retry-after')], [503, 'database_unavailable', '5']);
    assert.equal((await chat(user, 'Hello')).status, 503);
    assert.equal((await call('GET', '/health')).status, 503);
    await until('all is streamed', () => text_of(stream.events()).endsWith('word80'));
    start_postgres();
    const events = await stream.ended;
    assert.deepEqual([events.at(-1).name, events.at(-1).total_tokens], ['done', '82']);
    await until('calls are answered', async () => (await call('GET', '/me', user)).status === 200);
    assert.deepEqual(await used(user), { message: [1, 0], token: [82, 0], api_call: [0, 0], cost: [121, 0] });
    assert.equal((await last_reply(user)).content, text_of(events));
    await settled_cache();
    await books_prove();
  },
  'a wrong password is 503, says so to the log alone, and is mended without a restart': async () => {
    const user = await new_user();
    const wrong = await start_server({ DB_PASSWORD: 'not the one' });
    const refused = await call('GET', '/me', user, wrong);
    assert.equal(refused.status, 503);
    assert.ok(!JSON.stringify(refused.body).includes('password'));
    assert.match(wrong.log, /28P01/);
    assert.ok(!wrong.log.includes('not the one'));
    await rows("ALTER ROLE claude_gpt_user PASSWORD 'not the one'");
    try {
      await until('it is let in', async () => (await call('GET', '/me', user, wrong)).status === 200);
      assert.equal((await chat(user, '2 words', { on: wrong })).events.at(-1).name, 'done');
    } finally {
      await rows(`ALTER ROLE claude_gpt_user PASSWORD ${pg.Client.prototype.escapeLiteral(k_password)}`);
    }
    assert.equal(await stop_server(wrong), 0);
  },
  'a server that is told to stop lets streams end, and takes no new ones': async () => {
    const user = await new_user();
    const stopping = await start_server();
    const stream = await open_chat(user, '80 words', stopping);
    await until('it streams', () => stream.events().length > 2);
    stopping.child.kill('SIGTERM');
    const is_refused = (answer) => answer.then(({ status }) => status === 503, () => true);
    await until('nobody is let in', () => is_refused(call('GET', '/health', {}, stopping)));
    assert.ok(await is_refused(chat(user, 'Hello', { on: stopping })));
    assert.equal((await stream.ended).at(-1).name, 'done');
    assert.equal(await exit_of(stopping), 0);
    assert.deepEqual((await used(user)).message, [1, 0]);
  },
  'and after its grace settles what was streamed': async () => {
    const user = await new_user();
    const stopping = await start_server({ SHUTDOWN_GRACE_MS: '50' });
    const stream = await open_chat(user, '500 words', stopping);
    await until('it streams', () => stream.events().length > 2);
    stopping.child.kill('SIGTERM');
    const last = (await stream.ended).at(-1);
    assert.deepEqual([last.name, last.message], ['error', 'the server is shutting down']);
    assert.equal(await exit_of(stopping), 0);
    const words = (await last_reply(user)).content.split(' ').length;
    assert.deepEqual((await used(user)).token, [2 + words, 0]);
  },
  'after all of this the books prove, and nothing is held': async () => {
    await books_prove();
    assert.deepEqual(await rows("SELECT id FROM usage_reservations WHERE status = 'open'"), []);
    assert.deepEqual(await rows("SELECT id FROM messages WHERE status = 'sending'"), []);
    assert.ok(!server.log.includes('"status":500'), server.log);
    assert.equal(await stop_server(server), 0);
  },
};

async function main() {
  await Promise.all([example.compile(modules, scratch), (async () => {
    redis_port = await free_port();
    await start_redis();
    await make_postgres();
  })()]);
  server = await start_server();
  await run(tests, (error) => `${error.stack}\n${error.cause?.stack ?? ''}\n${server.log.slice(-2000)}`);
}

function clean_up() {
  for (const child of children) child.kill('SIGKILL');
  if (fs.existsSync(path.join(scratch, 'srv'))) stop_postgres();
  fs.rmSync(scratch, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => { clean_up(); process.exit(1); });
main().catch((error) => {
  console.log(`Bail out! ${error.stack}`);
  process.exitCode = 1;
}).finally(async () => {
  await admin?.end();
  clean_up();
});
