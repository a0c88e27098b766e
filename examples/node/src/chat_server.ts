// The HTTP side: routes, who may call them, and what they answer.
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { HttpError, denial, describe, httpErrorOf, log } from './answers.js';
import type { Cache } from './cache.js';
import type { ChangeSource } from './changes.js';
import type { Database, Session, Uuid } from './database.js';
import type { Model } from './model.js';
import { hashPassword } from './passwords.js';
import { authenticate, logIn } from './sessions.js';
import { takeTurn } from './turns.js';

const longestBody = 1024 * 1024;
const loginsAMinute = 10;
const signUpsAnHour = 20;

export interface Parts {
  database: Database;
  cache: Cache;
  changes: ChangeSource | undefined;
  model: Model;
}

interface Call {
  request: IncomingMessage;
  response: ServerResponse;
  query: URLSearchParams;
  id: string; // what stands in the path
}

type Handler = (call: Call) => Promise<void>;
type UserHandler = (call: Call, session: Session) => Promise<void>;

export class ChatServer {
  readonly server: Server;
  readonly #parts: Parts;
  readonly #routes: [string, RegExp, Handler][];
  readonly #streams = new Set<(reason: string) => void>();
  readonly #calls = new Set<Promise<void>>();
  #isClosing = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#routes = [
      ['GET', /^\/health$/, (call) => this.#health(call)],
      ['POST', /^\/users$/, (call) => this.#signUp(call)],
      ['POST', /^\/sessions$/, (call) => this.#logIn(call)],
      ['DELETE', /^\/sessions\/current$/, this.#user((call, session) => this.#logOut(call, session))],
      ['GET', /^\/me$/, this.#user((call, session) => this.#profile(call, session.user_id))],
      ['PATCH', /^\/me$/, this.#user((call, session) => this.#changeProfile(call, session.user_id))],
      ['GET', /^\/subscription$/, this.#user((call, session) => this.#subscription(call, session.user_id))],
      ['GET', /^\/quota$/, this.#user((call, session) => this.#quota(call, session.user_id))],
      ['GET', /^\/models$/, this.#user((call) => this.#models(call))],
      ['GET', /^\/conversations$/, this.#user((call, session) => this.#conversations(call, session.user_id))],
      ['GET', /^\/conversations\/([^/]+)\/messages$/, this.#user((call, session) => this.#messages(call, session.user_id))],
      ['DELETE', /^\/conversations\/([^/]+)$/, this.#user((call, session) => this.#deleteConversation(call, session.user_id))],
      ['POST', /^\/chat$/, this.#user((call, session) => this.#chat(call, session.user_id))],
    ];
    this.server = createServer((request, response) => {
      const call = this.#answer(request, response);
      this.#calls.add(call);
      void call.finally(() => this.#calls.delete(call));
    });
  }

  // Takes no new calls, lets those that run come to their end for so long, then stops their models. Every turn is
  // settled when this returns, or given up since the database is away.
  async close(graceMillis: number): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeIdleConnections();
    await Promise.race([this.#idle(), wait(graceMillis, undefined, { ref: false })]);
    for (const stop of this.#streams) stop('the server is shutting down');
    await this.#idle();
    this.server.closeIdleConnections();
    await Promise.race([closed, wait(1000, undefined, { ref: false })]);
    this.server.closeAllConnections();
    await closed;
  }

  async #idle(): Promise<void> {
    while (this.#calls.size > 0) await Promise.allSettled(this.#calls);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {}); // the client is gone, which "close" tells as well
    try {
      if (this.#isClosing) throw new HttpError(503, 'shutting_down', 'this server is shutting down', { 'Retry-After': '1', Connection: 'close' });
      const url = new URL(request.url ?? '/', 'http://localhost');
      await this.#route(request, response, url);
    } catch (error) {
      answerError(response, error);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    let isOtherMethod = false;
    for (const [method, path, handler] of this.#routes) {
      const match = path.exec(url.pathname);
      if (!match) continue;
      if (method === request.method) return handler({ request, response, query: url.searchParams, id: match[1] ?? '' });
      isOtherMethod = true;
    }
    throw isOtherMethod ? new HttpError(405, 'method_not_allowed', 'another method') : new HttpError(404, 'not_found', 'there is nothing here');
  }

  #user(handler: UserHandler): Handler {
    return async (call) => handler(call, await authenticate(this.#parts.database, call.request.headers.authorization));
  }

  async #health({ response }: Call): Promise<void> {
    const { database, cache, changes } = this.#parts;
    await database.check();
    answer(response, 200, { database: 'on', cache: cache.state(), changes: changes?.isUp() ? 'heard' : 'not heard' });
  }

  async #signUp({ request, response }: Call): Promise<void> {
    await this.#admit(`sign-up ${addressOf(request)}`, signUpsAnHour, '1 hour');
    const body = await readBody(request);
    const email = text(body, 'email', 255);
    const password = text(body, 'password', 1000);
    if (!/^[^\s@]+@[^\s@]+$/.test(email)) throw new HttpError(400, 'bad_request', 'email is no address');
    if (password.length < 8) throw new HttpError(400, 'bad_request', 'password must have at least 8 characters');
    const id = await this.#parts.database.createUser(email, await hashPassword(password), optionalText(body, 'full_name', 100));
    answer(response, 201, { id });
  }

  async #logIn({ request, response }: Call): Promise<void> {
    await this.#admit(`login ${addressOf(request)}`, loginsAMinute, '1 minute');
    const body = await readBody(request);
    answer(response, 201, await logIn(this.#parts.database, text(body, 'email', 255), text(body, 'password', 1000), addressOf(request),
      request.headers['user-agent'] ?? null));
  }

  async #logOut({ response }: Call, session: Session): Promise<void> {
    await this.#parts.database.endSession(session.id);
    answer(response, 204);
  }

  async #profile({ response }: Call, userId: Uuid): Promise<void> {
    answer(response, 200, await this.#parts.cache.through('user', userId, () => this.#parts.database.user(userId)));
  }

  async #changeProfile({ request, response }: Call, userId: Uuid): Promise<void> {
    const body = await readBody(request);
    await this.#parts.database.updateUser(userId, {
      full_name: optionalText(body, 'full_name', 100),
      preferred_language: optionalText(body, 'preferred_language', 10),
      theme_preference: optionalText(body, 'theme_preference', 10),
    });
    await this.#parts.cache.forget('user', userId);
    answer(response, 204);
  }

  // To show. What a user may do is decided by the database at each call, never by what is cached here.
  async #subscription({ response }: Call, userId: Uuid): Promise<void> {
    answer(response, 200, await this.#parts.cache.through('subscription', userId, () => this.#parts.database.subscription(userId)));
  }

  async #quota({ response }: Call, userId: Uuid): Promise<void> {
    answer(response, 200, await this.#parts.database.quota(userId));
  }

  async #models({ response }: Call): Promise<void> {
    const configuration = await this.#parts.cache.through('config', 'public', () => this.#parts.database.configuration(['ai_models', 'subscription_plans']));
    answer(response, 200, configuration);
  }

  async #conversations({ response }: Call, userId: Uuid): Promise<void> {
    answer(response, 200, await this.#parts.cache.through('conversation', userId, () => this.#parts.database.conversations(userId)));
  }

  async #messages({ response, id, query }: Call, userId: Uuid): Promise<void> {
    answer(response, 200, await this.#parts.database.messages(userId, id, query.get('before')));
  }

  async #deleteConversation({ response, id }: Call, userId: Uuid): Promise<void> {
    await this.#parts.database.deleteConversation(userId, id);
    await this.#parts.cache.forget('conversation', userId);
    answer(response, 204);
  }

  async #chat({ request, response }: Call, userId: Uuid): Promise<void> {
    const body = await readBody(request);
    try {
      await takeTurn(response, this.#parts.database, this.#parts.model, this.#streams, {
        userId,
        conversationId: optionalText(body, 'conversation_id', 36),
        parentMessageId: optionalText(body, 'parent_message_id', 36),
        content: optionalText(body, 'content', longestBody),
        model: text(body, 'model', 255),
        idempotencyKey: idempotencyKeyOf(request),
      });
    } finally {
      await this.#parts.cache.forget('conversation', userId);
    }
  }

  // Calls of nobody yet, by address. Behind a proxy of yours, take the address from the header that it sets.
  async #admit(key: string, limit: number, period: string): Promise<void> {
    const decision = await this.#parts.database.rateLimit(key, limit, period);
    if (!decision.allowed) throw denial(decision);
  }
}

const addressOf = (request: IncomingMessage): string => (request.socket.remoteAddress ?? 'unknown').replace(/^::ffff:/, '');

function idempotencyKeyOf(request: IncomingMessage): string | null {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) throw new HttpError(400, 'bad_request', 'Idempotency-Key must have 1 to 255 visible characters');
  return key;
}

type Body = Record<string, unknown>;

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > longestBody) throw new HttpError(413, 'body_too_large', 'the body is too large', { Connection: 'close' });
    chunks.push(chunk);
  }
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Body;
  } catch {
    // said below
  }
  throw new HttpError(400, 'bad_request', 'the body must be a JSON object');
}

function optionalText(body: Body, name: string, longest: number): string | null {
  const value = body[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string' || value.length > longest) throw new HttpError(400, 'bad_request', `${name} must be text of at most ${longest} characters`);
  return value;
}

function text(body: Body, name: string, longest: number): string {
  const value = optionalText(body, name, longest);
  if (value === null) throw new HttpError(400, 'bad_request', `${name} is missing`);
  return value;
}

function answer(response: ServerResponse, status: number, body?: unknown, headers: Record<string, string> = {}): void {
  if (response.destroyed) return;
  if (body === undefined) {
    response.writeHead(status, headers).end();
    return;
  }
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', ...headers }).end(JSON.stringify(body));
}

function answerError(response: ServerResponse, error: unknown): void {
  const problem = httpErrorOf(error);
  if (problem.status >= 500 && !(error instanceof HttpError)) log('request_failed', { status: problem.status, error: describe(error) });
  if (response.headersSent) {
    response.destroy(); // in the middle of an answer there is nothing else to say
    return;
  }
  answer(response, problem.status, { error: problem.reason, message: problem.message, ...problem.details }, problem.headers);
}
