// What is read often and changes seldom, kept in Redis beside the database. The database decides everything; without
// Redis every answer is the same, only slower.
//
// An entry is valid while the two versions that it was stored under still stand: that of the entry and that of all.
// To forget is to replace a version, so a reader that has loaded an old value stores it under an old version, where
// nobody finds it. A version that Redis has dropped makes its entries invalid, never valid.
import { randomUUID } from 'node:crypto';
import type { createClient } from 'redis';
import { describe, log } from './answers.js';

export type Kind = 'user' | 'conversation' | 'subscription' | 'config';
export type Ttl = Record<Kind, number>; // seconds
export const defaultTtl: Readonly<Ttl> = { user: 3600, conversation: 7200, subscription: 1800, config: 86400 };

export interface Cache {
  // The value that is stored, or else what load gives, as JSON makes it.
  through(kind: Kind, id: string, load: () => Promise<unknown>): Promise<unknown>;
  forget(kind: Kind, id: string): Promise<void>;
  // Everything stored so far may be old.
  distrust(): void;
  // Nobody tells of changes from now on, so nothing is taken from the cache until resume.
  pause(): void;
  resume(): void;
  useTtl(ttl: Ttl): void;
  state(): string;
  close(): Promise<void>;
}

export const noCache: Cache = {
  through: async (_kind, _id, load) => JSON.parse(JSON.stringify(await load())) as unknown,
  forget: async () => {},
  distrust: () => {},
  pause: () => {},
  resume: () => {},
  useTtl: () => {},
  state: () => 'none',
  close: async () => {},
};

const prefix = 'claude_gpt';
const versionOfAll = `${prefix}:version`;
const patienceMillis = 250; // for one command: Redis is here to be fast
const restMillis = 1000; // after a command that failed

export class RedisCache implements Cache {
  readonly #client: ReturnType<typeof createClient>;
  #ttl: Ttl = { ...defaultTtl };
  #doubts = 1; // how often everything stored was doubted,
  #doubtsSettled = 0; // and how many of these a new version has answered
  #renewal: Promise<boolean> | undefined;
  #isPaused = false;
  #restsUntil = 0;

  // Does not wait for Redis, which may come later, go and come back.
  static async connect(url: string): Promise<RedisCache> {
    const redis = await import('redis');
    const client = redis.createClient({
      url,
      disableOfflineQueue: true,
      socket: { connectTimeout: 2000, reconnectStrategy: (retries: number) => Math.min(100 * 2 ** Math.min(retries, 6), 5000) },
    }) as ReturnType<typeof createClient>;
    return new RedisCache(client);
  }

  private constructor(client: ReturnType<typeof createClient>) {
    this.#client = client;
    let lastTrouble = '';
    client.on('error', (error: unknown) => {
      const trouble = describe(error);
      if (trouble !== lastTrouble) log('cache_trouble', { error: trouble });
      lastTrouble = trouble;
    });
    // What was to be forgotten in the meantime was not: begin anew.
    client.on('ready', () => {
      lastTrouble = '';
      this.#restsUntil = 0;
      this.distrust();
      log('cache_ready');
    });
    client.connect().catch((error: unknown) => log('cache_trouble', { error: describe(error) }));
  }

  async through(kind: Kind, id: string, load: () => Promise<unknown>): Promise<unknown> {
    if (!(await this.#isUsable())) return noCache.through(kind, id, load);
    const key = `${prefix}:${kind}:${id}`;
    const [version, stored] = (await this.#ask(() => this.#read(key))) ?? [];
    if (version !== undefined && stored?.version === version) return stored.value;
    const value = await noCache.through(kind, id, load);
    if (version !== undefined) await this.#ask(() => this.#client.set(key, JSON.stringify({ version, value }), { EX: this.#ttl[kind] }));
    return value;
  }

  async forget(kind: Kind, id: string): Promise<void> {
    const key = `${prefix}:${kind}:${id}:version`;
    const done = this.#client.isReady ? await this.#ask(() => this.#client.set(key, randomUUID(), { EX: this.#ttl[kind] })) : undefined;
    if (done === undefined) this.distrust();
  }

  distrust(): void {
    this.#doubts += 1;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.distrust();
    this.#isPaused = false;
  }

  useTtl(ttl: Ttl): void {
    this.#ttl = ttl;
  }

  state(): string {
    if (this.#isPaused) return 'paused';
    return this.#client.isReady && Date.now() >= this.#restsUntil ? 'on' : 'off';
  }

  async close(): Promise<void> {
    await this.#client.disconnect().catch(() => {}); // before it was connected there is nothing to end
  }

  // The version under which the entry is valid now, and what is stored.
  async #read(key: string): Promise<[string, Entry | undefined]> {
    const keys = [versionOfAll, `${key}:version`];
    let [all, own, stored] = await this.#client.mGet([...keys, key]);
    if (!all || !own) {
      await this.#client.set(versionOfAll, randomUUID(), { NX: true });
      await this.#client.set(`${key}:version`, randomUUID(), { NX: true, EX: 86400 });
      [all, own] = await this.#client.mGet(keys);
      stored = null;
    }
    return [`${all} ${own}`, parseEntry(stored)];
  }

  async #isUsable(): Promise<boolean> {
    if (this.#isPaused || !this.#client.isReady || Date.now() < this.#restsUntil) return false;
    if (this.#doubts === this.#doubtsSettled) return true;
    this.#renewal ??= this.#renewVersionOfAll().finally(() => (this.#renewal = undefined));
    return this.#renewal;
  }

  async #renewVersionOfAll(): Promise<boolean> {
    const doubts = this.#doubts;
    if ((await this.#ask(() => this.#client.set(versionOfAll, randomUUID()))) === undefined) return false;
    this.#doubtsSettled = doubts;
    return doubts === this.#doubts;
  }

  // What Redis answers; undefined if it does not, and then it is left alone for a moment.
  async #ask<Answer>(command: () => Promise<Answer>): Promise<Answer | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`Redis has not answered in ${patienceMillis} ms`)), patienceMillis);
    });
    try {
      return await Promise.race([command(), patience]);
    } catch (error) {
      this.#restsUntil = Date.now() + restMillis;
      log('cache_trouble', { error: describe(error) });
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

interface Entry {
  version: string;
  value: unknown;
}

function parseEntry(text: string | null | undefined): Entry | undefined {
  try {
    return text ? (JSON.parse(text) as Entry) : undefined;
  } catch {
    return undefined; // not ours
  }
}

// The row "cache_ttl" of the configuration: seconds by kind. Where it says nothing or nonsense, the default stands.
export function parseTtl(value: unknown): Ttl {
  const ttl: Ttl = { ...defaultTtl };
  if (typeof value !== 'object' || value === null) return ttl;
  for (const [kind, seconds] of Object.entries(value)) {
    const isGood = Number.isInteger(seconds) && (seconds as number) >= 1 && (seconds as number) <= 86400;
    if (kind in ttl && isGood) ttl[kind as Kind] = seconds as number;
    else log('cache_ttl_ignored', { kind, seconds });
  }
  return ttl;
}
