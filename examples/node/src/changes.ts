// What others change in the database, as it happens, so that nothing old is taken from the cache.
import pg from 'pg';
import type { ClientConfig } from 'pg';
import { describe, log } from './answers.js';
import { parseTtl } from './cache.js';
import type { Cache } from './cache.js';
import type { Database } from './database.js';

export interface Change {
  table: string;
  id: string | null; // null: any row of the table
}

export interface ChangeListener {
  onChange(change: Change): void;
  onUnknown(): void; // something was said that is not understood
  onUp(): void; // hears from now on; what happened before was missed
  onDown(): void;
}

export interface ChangeSource {
  start(listener: ChangeListener): void;
  isUp(): boolean;
  stop(): Promise<void>;
}

export const channel = 'claude_gpt_changes';

// LISTEN on a connection of its own, made again whenever it is lost.
export class PostgresChangeSource implements ChangeSource {
  readonly #options: ClientConfig;
  #client: pg.Client | undefined;
  #isUp = false;
  #isStopped = false;
  #retry: NodeJS.Timeout | undefined;
  #failures = 0;

  constructor(options: ClientConfig) {
    this.#options = options;
  }

  start(listener: ChangeListener): void {
    void this.#connect(listener);
  }

  isUp(): boolean {
    return this.#isUp;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#retry);
    if (this.#isUp) await this.#client?.end().catch(() => {}); // one that has failed would never say that it ended
  }

  async #connect(listener: ChangeListener): Promise<void> {
    const client = new pg.Client({ ...this.#options, application_name: 'chat_server changes' });
    this.#client = client;
    let isLost = false;
    const lose = (error?: unknown): void => {
      if (isLost) return;
      isLost = true;
      if (this.#isUp) listener.onDown();
      this.#isUp = false;
      client.end().catch(() => {});
      if (this.#isStopped) return;
      log('changes_lost', { error: describe(error ?? 'the connection ended') });
      this.#failures += 1;
      this.#retry = setTimeout(() => void this.#connect(listener), Math.min(100 * 2 ** Math.min(this.#failures, 7), 10000));
    };
    client.on('error', lose);
    client.on('end', () => lose());
    client.on('notification', (message) => {
      const change = parseChange(message.payload);
      if (change) listener.onChange(change);
      else listener.onUnknown();
    });
    try {
      await client.connect();
      await client.query(`LISTEN ${channel}`);
    } catch (error) {
      lose(error);
      return;
    }
    if (this.#isStopped) lose(); // stopped in between: this connection would keep the process alive
    if (isLost) return;
    this.#failures = 0;
    this.#isUp = true;
    listener.onUp();
    log('changes_heard');
  }
}

// Anyone who is connected to the database can NOTIFY, so nothing is taken for granted.
export function parseChange(payload: string | undefined): Change | undefined {
  try {
    const { table, id = null } = (JSON.parse(payload ?? '') ?? {}) as { table?: unknown; id?: unknown };
    return typeof table === 'string' && (id === null || typeof id === 'string') ? { table, id } : undefined;
  } catch {
    return undefined;
  }
}

// Keeps the cache true to the database.
export function invalidate(cache: Cache, database: Database): ChangeListener {
  const readTtl = async (): Promise<void> => {
    try {
      cache.useTtl(parseTtl((await database.configuration(['cache_ttl']))['cache_ttl']));
    } catch (error) {
      log('cache_ttl_not_read', { error: describe(error) });
    }
  };
  const forget = (change: Change): void => {
    if (change.table === 'system_configs') {
      void cache.forget('config', 'public');
      void readTtl();
      return;
    }
    if (change.table !== 'users' && change.table !== 'conversations') return; // nothing of it is cached
    // Lists are cached by user, and a conversation does not say whose it is.
    if (change.id === null || change.table === 'conversations') return cache.distrust();
    void cache.forget('user', change.id);
    void cache.forget('subscription', change.id);
  };
  return {
    onChange: forget,
    onUnknown: () => cache.distrust(),
    onUp: () => {
      cache.resume();
      void readTtl();
    },
    onDown: () => cache.pause(),
  };
}
