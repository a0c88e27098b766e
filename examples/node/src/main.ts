// Puts the parts together, and takes them apart on SIGTERM and SIGINT.
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { getDatabaseConfig, listenerOptions, poolOptions } from '../config/database.js';
import { watchAbandonedTurns } from './abandoned_turns.js';
import { describe, log } from './answers.js';
import { RedisCache, noCache } from './cache.js';
import { PostgresChangeSource, invalidate } from './changes.js';
import { ChatServer } from './chat_server.js';
import { Database } from './database.js';
import { FakeModel } from './model.js';

function wholeNumber(name: string, otherwise: number): number {
  const text = process.env[name] || String(otherwise);
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${name} must be a whole number, not "${text}"`);
  return Number(text);
}

const port = wholeNumber('PORT', 3000);
const graceMillis = wholeNumber('SHUTDOWN_GRACE_MS', 20000);
const config = getDatabaseConfig();

// Those that the pool is to have at least are connected before anybody waits for one. Where the database is away, they come later.
async function fill(pool: pg.Pool, count: number): Promise<void> {
  const connected = await Promise.allSettled(Array.from({ length: count }, () => pool.connect()));
  for (const each of connected) {
    if (each.status === 'fulfilled') each.value.release();
    else log('not_connected_at_start', { error: describe(each.reason) });
  }
}

const pool = new pg.Pool(poolOptions(config));
pool.on('error', (error) => log('connection_lost', { error: describe(error) })); // an idle one; the pool makes another
const database = new Database(pool);

const redisUrl = process.env.REDIS_URL;
const cache = redisUrl ? await RedisCache.connect(redisUrl) : noCache;
cache.pause(); // until changes are heard
const changes = redisUrl ? new PostgresChangeSource(listenerOptions(config)) : undefined;
changes?.start(invalidate(cache, database));

const model = new FakeModel(wholeNumber('FAKE_MODEL_DELAY_MS', 30));
const chat = new ChatServer({ database, cache, changes, model });
await fill(pool, config.pool.min);
const unwatch = watchAbandonedTurns(database, model);
chat.server.listen(port, process.env.HOST || '127.0.0.1', () => {
  const { address, port: boundPort } = chat.server.address() as AddressInfo;
  console.log(`listening on http://${address}:${boundPort}`);
});

let isStopping = false;
async function stop(signal: string): Promise<void> {
  if (isStopping) process.exit(1); // asked twice
  isStopping = true;
  log('stopping', { signal });
  unwatch();
  await chat.close(graceMillis);
  await changes?.stop();
  await cache.close();
  await pool.end();
  log('stopped');
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
