// A chat turn: begun, streamed to the client as server-sent events, and settled whatever happens.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { endAbandonedTurn } from './abandoned_turns.js';
import { HttpError, denial, describe, isTurnOver, log, rateLimitHeaders } from './answers.js';
import { noUsage } from './database.js';
import type { Database, Price, Turn, TurnRequest, Usage, Uuid } from './database.js';
import { countPrompt, longestPromptTokens } from './model.js';
import type { Model, Remark } from './model.js';
import { storableText } from './storable.js';
import { chargeableUsage, endTurn } from './turn_ends.js';

const partialEveryMillis = 500;
const heartbeatMillis = 15000;
const longestReplyTokens = 512;
const longestReply = 1_000_000; // characters; a few pieces may be long
// A turn ends before its hold does, with time for a database that is away.
const longestTurnMillis = 10 * 60_000;
const holdMinutes = 15;

export interface Streams {
  add(stop: (reason: string) => void): void;
  delete(stop: (reason: string) => void): void;
}

export async function takeTurn(response: ServerResponse, database: Database, model: Model, streams: Streams,
  asked: Omit<TurnRequest, 'estimatedTokens' | 'holdMinutes'>): Promise<void> {
  // What could not be charged is not begun.
  const price = await database.price(asked.model);
  if (!price) {
    log('model_without_price', { model: asked.model });
    throw new HttpError(403, 'model_without_price', 'this model is not offered, since it has no price');
  }
  if (response.destroyed) return;
  const stopping = new AbortController();
  const stop = (reason: string): void => stopping.abort(new Error(reason));
  const late = setTimeout(() => stop('the reply took too long'), longestTurnMillis);
  response.once('close', () => { if (!response.writableFinished) stopping.abort(new Stopped('the client went away')); });
  streams.add(stop);
  try {
    const request = { ...asked, estimatedTokens: model.countTokens(asked.content ?? '') + longestReplyTokens, holdMinutes };
    const turn = await database.beginTurn(request);
    if (!turn.allowed) throw denial(turn);
    if (turn.replayed) await replay(response, database, model, request.userId, turn);
    else await stream(response, database, model, request, price, turn, stopping);
  } finally {
    clearTimeout(late);
    streams.delete(stop);
  }
}

async function stream(response: ServerResponse, database: Database, model: Model, request: TurnRequest, price: Price, turn: Turn,
  stopping: AbortController): Promise<void> {
  const { signal } = stopping;
  const { userId } = request;
  let content = '';
  let counted: Usage = noUsage;
  let remarks: Remark = {};
  let failure: string | undefined;
  let isStopped = false;
  const saver = new Saver(database, userId, turn.reservation_id, (reason) => stopping.abort(new Error(reason)));
  try {
    openEvents(response, turn);
    const path = await database.conversationPath(userId, turn.message_id, longestPromptTokens);
    const promptTokens = countPrompt(model, path);
    for await (const piece of model.reply(path, signal)) {
      if (typeof piece !== 'string') {
        remarks = { ...remarks, ...piece };
        continue;
      }
      content += piece;
      counted = { ...noUsage, promptTokens, completionTokens: counted.completionTokens + 1 }; // charged from the first token on
      saver.offer(content);
      await sendEvent(response, 'delta', { text: piece }, signal);
      if (counted.completionTokens >= longestReplyTokens || content.length >= longestReply) break;
    }
    signal.throwIfAborted();
  } catch (error) {
    const reason: unknown = signal.aborted ? signal.reason : error;
    isStopped = reason instanceof Stopped && content !== ''; // of nothing there is nothing to keep
    failure = messageOf(reason);
  }
  await saver.finish();
  const usage = chargeableUsage(remarks.usage, counted);
  const ended = await endTurn(database, { request, reservationId: turn.reservation_id, price, content: content.slice(0, longestReply),
    metadata: remarks.metadata, usage, reported: remarks.reported, failure, isStopped });
  const settlement = 'settlement' in ended ? ended.settlement : {};
  if (ended.as === 'sent') return endEvents(response, 'done', settlement);
  if (ended.as === 'stopped') return endEvents(response, 'done', { ...settlement, stopped: true });
  log('turn_failed', { reservation_id: turn.reservation_id, error: failure ?? 'the reply was refused', ended_as: ended.as });
  if (failure === undefined) endEvents(response, 'error', { error: 'not_stored', message: 'the reply could not be stored', ...settlement });
  else endEvents(response, 'error', { error: 'turn_failed', message: failure, ...settlement });
}

// The user does not want more of the reply. It goes on from here if he asks for that.
class Stopped extends Error {}

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
      await this.#database.savePartial(this.#userId, this.#reservationId, storableText(content));
    } catch (error) {
      if (isTurnOver(error)) this.#stop('the reply was deleted');
      else log('partial_not_saved', { reservation_id: this.#reservationId, error: describe(error) });
    }
  }
}

// The same Idempotency-Key again: the same reply, without asking the model, without a charge.
async function replay(response: ServerResponse, database: Database, model: Model, userId: Uuid, turn: Turn): Promise<void> {
  let reply = await database.reply(userId, turn.assistant_message_id);
  if (reply?.status === 'sending' && turn.is_expired) {
    await endAbandonedTurn(database, model, { user_id: userId, reservation_id: turn.reservation_id, message_id: turn.message_id, content: reply.content });
    reply = await database.reply(userId, turn.assistant_message_id);
  }
  if (!reply || reply.status === 'deleted') throw new HttpError(410, 'reply_deleted', 'the reply was deleted');
  if (reply.status === 'sending') throw new HttpError(409, 'in_progress', 'this turn is being answered', { 'Retry-After': '1' });
  openEvents(response, turn);
  if (reply.content) await sendEvent(response, 'delta', { text: reply.content });
  const settlement = { total_tokens: String(reply.total_tokens ?? 0), charged_cost: reply.cost };
  const ids = { message_id: turn.assistant_message_id, conversation_id: turn.conversation_id };
  if (reply.status === 'sent') endEvents(response, 'done', { ...ids, ...settlement });
  else if (reply.status === 'stopped') endEvents(response, 'done', { ...ids, ...settlement, stopped: true });
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
