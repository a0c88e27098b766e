// A chat turn: begun, streamed to the client as server-sent events, and settled whatever happens.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { HttpError, denial, describe, isTurnOver, isUnavailable, isUnpriced, log, rateLimitHeaders } from './answers.js';
import type { Database, Numeric, Settlement, Turn, TurnRequest, Uuid } from './database.js';
import type { Model } from './model.js';

const partialEveryMillis = 500;
const heartbeatMillis = 15000;
const longestPromptTokens = 4000;
const longestReplyTokens = 512;
const settleForMillis = 60000; // how long a database that is away is waited for when a turn ends

export interface Streams {
  add(stop: (reason: string) => void): void;
  delete(stop: (reason: string) => void): void;
}

export async function takeTurn(response: ServerResponse, database: Database, model: Model, streams: Streams,
  request: Omit<TurnRequest, 'estimatedTokens'>): Promise<void> {
  if (response.destroyed) return;
  const stopping = new AbortController();
  const stop = (reason: string): void => stopping.abort(new Error(reason));
  response.once('close', () => { if (!response.writableFinished) stop('the client went away'); });
  streams.add(stop);
  try {
    const turn = await database.beginTurn({ ...request, estimatedTokens: model.countTokens(request.content ?? '') + longestReplyTokens });
    if (!turn.allowed) throw denial(turn);
    if (turn.replayed) await replay(response, database, request.userId, turn);
    else await stream(response, database, model, request.userId, turn, stopping);
  } finally {
    streams.delete(stop);
  }
}

async function stream(response: ServerResponse, database: Database, model: Model, userId: Uuid, turn: Turn, stopping: AbortController): Promise<void> {
  const { signal } = stopping;
  let content = '';
  let promptTokens = 0;
  let completionTokens = 0;
  let failure: unknown;
  const saver = new Saver(database, userId, turn.reservation_id, (reason) => stopping.abort(new Error(reason)));
  try {
    openEvents(response, turn);
    const path = await database.conversationPath(userId, turn.message_id, longestPromptTokens);
    const tokensOfPath = path.reduce((sum, message) => sum + model.countTokens(message.content), 0);
    for await (const piece of model.reply(path, signal)) {
      content += piece;
      promptTokens = tokensOfPath; // charged from the first token on
      completionTokens += 1;
      saver.offer(content);
      await sendEvent(response, 'delta', { text: piece }, signal);
      if (completionTokens >= longestReplyTokens) break;
    }
    signal.throwIfAborted();
  } catch (error) {
    failure = signal.aborted ? signal.reason : error;
  }
  await saver.finish();
  const settlement = await settle(database, userId, turn.reservation_id, { content, promptTokens, completionTokens, failure });
  if (failure === undefined) {
    if (settlement) endEvents(response, 'done', settlement);
    else endEvents(response, 'error', { error: 'not_settled', message: 'the reply could not be stored' });
    return;
  }
  log('turn_failed', { reservation_id: turn.reservation_id, error: describe(failure), settled: settlement !== undefined });
  endEvents(response, 'error', { error: 'turn_failed', message: messageOf(failure), ...settlement });
}

// What was streamed so far, now and then, while streaming goes on. A partial that could not be stored is no harm.
class Saver {
  readonly #database: Database;
  readonly #userId: Uuid;
  readonly #reservationId: Uuid;
  readonly #stop: (reason: string) => void;
  #savedAt = Date.now();
  #running: Promise<void> | undefined;

  constructor(database: Database, userId: Uuid, reservationId: Uuid, stop: (reason: string) => void) {
    this.#database = database;
    this.#userId = userId;
    this.#reservationId = reservationId;
    this.#stop = stop;
  }

  offer(content: string): void {
    if (this.#running || Date.now() - this.#savedAt < partialEveryMillis) return;
    this.#running = this.#save(content).finally(() => {
      this.#running = undefined;
      this.#savedAt = Date.now();
    });
  }

  // No partial may arrive after the end of the turn.
  async finish(): Promise<void> {
    await this.#running;
  }

  async #save(content: string): Promise<void> {
    try {
      await this.#database.savePartial(this.#userId, this.#reservationId, content);
    } catch (error) {
      if (isTurnOver(error)) this.#stop('the reply was deleted');
      else log('partial_not_saved', { reservation_id: this.#reservationId, error: describe(error) });
    }
  }
}

interface Outcome {
  content: string;
  promptTokens: number;
  completionTokens: number;
  failure: unknown;
}

// Ends the turn in the database, which may be away for a while: the same end said twice counts once. A turn that
// cannot be ended charges nothing, its hold expires by itself.
async function settle(database: Database, userId: Uuid, reservationId: Uuid, outcome: Outcome): Promise<Settlement | undefined> {
  let cost: Numeric | null = null;
  const end = (): Promise<Settlement> => outcome.failure === undefined
    ? database.completeTurn(userId, reservationId, outcome.content, outcome.promptTokens, outcome.completionTokens, cost)
    : database.failTurn(userId, reservationId, messageOf(outcome.failure), outcome.promptTokens, outcome.completionTokens, outcome.content || null, cost);
  const deadline = Date.now() + settleForMillis;
  for (let delay = 100; ; delay = Math.min(delay * 2, 5000)) {
    try {
      return await end();
    } catch (error) {
      if (isUnpriced(error) && cost === null) {
        log('model_without_price', { reservation_id: reservationId, error: describe(error) });
        cost = '0'; // the tokens count at least
        continue;
      }
      if (!isUnavailable(error) || Date.now() + delay > deadline) {
        log('turn_not_settled', { reservation_id: reservationId, error: describe(error) });
        return undefined;
      }
      await wait(delay);
    }
  }
}

// The same Idempotency-Key again: the same reply, without asking the model, without a charge.
async function replay(response: ServerResponse, database: Database, userId: Uuid, turn: Turn): Promise<void> {
  if (turn.is_expired) {
    // Nobody streams this turn any more. Ends it at no charge, unless it has ended in the meantime.
    await database.failTurn(userId, turn.reservation_id, 'the server went away', 0, 0, null, null).catch(() => {});
  }
  const reply = await database.reply(userId, turn.assistant_message_id);
  if (!reply || reply.status === 'deleted') throw new HttpError(410, 'reply_deleted', 'the reply was deleted');
  if (reply.status === 'sending') throw new HttpError(409, 'in_progress', 'this turn is being answered', { 'Retry-After': '1' });
  openEvents(response, turn);
  if (reply.content) await sendEvent(response, 'delta', { text: reply.content });
  const settlement = { total_tokens: String(reply.total_tokens ?? 0), charged_cost: reply.cost };
  if (reply.status === 'sent') endEvents(response, 'done', { message_id: turn.assistant_message_id, conversation_id: turn.conversation_id, ...settlement });
  else endEvents(response, 'error', { error: 'turn_failed', message: reply.error_message ?? 'failed', ...settlement });
}

function openEvents(response: ServerResponse, turn: Turn): void {
  if (response.destroyed) return;
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no', ...rateLimitHeaders(turn) });
  const { conversation_id, message_id, assistant_message_id, replayed } = turn;
  response.write(eventText('turn', { conversation_id, message_id, assistant_message_id, replayed }));
  // A comment now and then keeps proxies from closing a stream that is silent.
  const heartbeat = setInterval(() => response.write(':\n\n'), heartbeatMillis);
  response.once('close', () => clearInterval(heartbeat));
}

const eventText = (name: string, data: unknown): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 500);

// A slow client slows the model down; one that is gone ends it.
async function sendEvent(response: ServerResponse, name: string, data: unknown, signal?: AbortSignal): Promise<void> {
  if (response.destroyed || response.write(eventText(name, data))) return;
  await once(response, 'drain', signal ? { signal } : {});
}

function endEvents(response: ServerResponse, name: string, data: unknown): void {
  if (!response.destroyed) response.end(eventText(name, data));
}
