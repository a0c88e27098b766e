// The end of a turn in the database: the reply is kept as far as it can be, and what it used is charged, whatever is
// refused. docs/clients.md says when what is: "When the end of a turn fails".
import { setTimeout as wait } from 'node:timers/promises';
import { describe, isEndedOtherwise, isInvalid, isTurnLost, isUnavailable, isUnpriced, log } from './answers.js';
import { noUsage } from './database.js';
import type { Database, Numeric, Price, Settlement, TurnRequest, Usage, Uuid } from './database.js';
import { storableJson, storableText } from './storable.js';

const largestCount = 2 ** 31 - 1;

export interface TurnEnd {
  request: TurnRequest; // begins the turn again, should the database have lost it
  reservationId: Uuid;
  price: Price; // as the turn began, should it be taken away meanwhile
  content: string;
  metadata: unknown;
  usage: Usage;
  reported?: unknown; // by the provider of the model: charged in place of the usage, if the database takes it
  failure: string | undefined; // why the reply is not whole
  isStopped: boolean; // by the user: what there is of it is worth keeping
}

// What became of it: a reply that is "sent", "stopped" or "failed", a charge without a reply, or nothing but a line of the log.
export type Ended = { as: 'sent' | 'stopped' | 'failed'; settlement: Settlement } | { as: 'charged' | 'nothing' };

// The same end said twice counts once, so each way is repeated while the database is away, for so long. What it refuses it
// would refuse for ever: the next way asks for less.
export async function endTurn(database: Database, end: TurnEnd, repeatForMillis = 60000): Promise<Ended> {
  const deadline = Date.now() + repeatForMillis;
  let refusal: unknown;
  for (const way of waysToEnd(database, end)) {
    try {
      return await repeatWhileAway(() => way(refusal), deadline);
    } catch (error) {
      refusal = error;
      if (isEndedOtherwise(error)) return { as: 'charged' }; // by whoever took this server for dead
      if (isUnavailable(error)) break;
    }
  }
  const { request: { userId, model }, reservationId, usage } = end;
  log('turn_not_charged', { user_id: userId, reservation_id: reservationId, model, ...usage, error: describe(refusal) });
  return { as: 'nothing' };
}

// Each is given what refused the one before it.
type Way = (refusal: unknown) => Promise<Ended>;

function waysToEnd(database: Database, end: TurnEnd): Way[] {
  const { request, reservationId, usage } = end;
  const { userId } = request;
  const content = storableText(end.content);
  const metadata = storableJson(end.metadata);
  const charge = new Charge(database, end.price, usage, storableJson(end.reported));
  const complete = (id: Uuid, itsMetadata: string | null): Way => async () => ({ as: 'sent',
    settlement: await charge.settle((cost, reported) => database.completeTurn(userId, id, content, itsMetadata, usage, reported, cost)) });
  const stop = (id: Uuid, itsMetadata: string | null): Way => async () => ({ as: 'stopped',
    settlement: await charge.settle((cost, reported) => database.stopTurn(userId, id, content, itsMetadata, usage, reported, cost)) });
  const fail = (id: Uuid, itsContent: string | null): Way => async (refusal) => ({ as: 'failed',
    settlement: await charge.settle((cost, reported) =>
      database.failTurn(userId, id, reasonOf(end, refusal), itsContent, usage, reported, cost)) });
  const keep = end.failure === undefined ? complete : end.isStopped ? stop : undefined;

  // A crash may take back a turn that has not ended (claude_gpt.turn_commit); its key begins it anew.
  const endAnew: Way = async (refusal) => {
    if (!isTurnLost(refusal)) throw refusal;
    const turn = await database.beginTurn({ ...request, idempotencyKey: request.idempotencyKey ?? `anew ${reservationId}` });
    if (!turn.allowed || turn.reservation_id === reservationId) throw refusal;
    return (keep?.(turn.reservation_id, metadata) ?? fail(turn.reservation_id, content))(refusal);
  };
  // The user pays, though nothing is stored to pay for. In one statement, if the turn is there: its hold goes with the charge.
  const chargeAlone = (isThere: boolean): Way => async (refusal) => {
    if (!isThere && !isTurnLost(refusal)) throw refusal;
    await database.recordTurn(userId, reservationId, request.model, usage, await charge.cost(), isThere ? reasonOf(end, refusal) : null);
    return { as: 'charged' };
  };
  return [
    ...(keep ? [keep(reservationId, metadata)] : []),
    ...(keep && metadata !== null ? [keep(reservationId, null)] : []),
    fail(reservationId, content),
    fail(reservationId, null),
    endAnew,
    ...(totalOf(usage) > 0 ? [chargeAlone(true), chargeAlone(false)] : []),
  ];
}

// The database's own prices, and where the price was taken away meanwhile, the one that the turn began with. The cost
// that was said once is said again: another one would be another end.
class Charge {
  readonly #database: Database;
  readonly #price: Price;
  readonly #usage: Usage;
  #reported: string | null; // JSON
  #cost: Numeric | null = null;

  constructor(database: Database, price: Price, usage: Usage, reported: string | null) {
    this.#database = database;
    this.#price = price;
    this.#usage = usage;
    this.#reported = reported;
  }

  async cost(): Promise<Numeric> {
    this.#cost ??= await this.#database.cost(this.#price, this.#usage);
    return this.#cost;
  }

  // What was reported gives way to the usage where it is refused, or only the example's own arithmetic can price it.
  async settle(end: (cost: Numeric | null, reported: string | null) => Promise<Settlement>): Promise<Settlement> {
    try {
      return await end(this.#cost, this.#reported);
    } catch (error) {
      const isRefused = isInvalid(error) && this.#reported !== null;
      const isUnpricedYet = isUnpriced(error) && this.#cost === null;
      if (!isRefused && !isUnpricedYet) throw error;
      this.#reported = null;
      if (isUnpricedYet) await this.cost();
      return this.settle(end);
    }
  }
}

async function repeatWhileAway<Result>(call: () => Promise<Result>, deadline: number): Promise<Result> {
  for (let delay = 100; ; delay = Math.min(delay * 2, 5000)) {
    try {
      return await call();
    } catch (error) {
      if (!isUnavailable(error) || Date.now() + delay > deadline) throw error;
      await wait(delay);
    }
  }
}

const reasonOf = (end: TurnEnd, refusal: unknown): string =>
  storableText((end.failure ?? `the reply could not be stored: ${describe(refusal)}`).slice(0, 500));
const totalOf = (usage: Usage): number => usage.promptTokens + usage.completionTokens;

// What is charged: the numbers of the model, if complete_turn takes them, and otherwise those that were counted here.
// A model that says nothing, or zero, is not free for that.
export function chargeableUsage(remark: Partial<Usage> | undefined, counted: Usage): Usage {
  const said: Usage = { ...noUsage, ...remark };
  if (!Object.values(said).every((count) => Number.isInteger(count) && count >= 0)) return counted;
  const cached = said.cachedPromptTokens + said.cacheWriteTokens;
  // More cached than there is prompt: this model counts the cached ones apart, complete_turn as part of the prompt.
  const usage = cached > said.promptTokens ? { ...said, promptTokens: said.promptTokens + cached } : said;
  return totalOf(usage) > 0 && totalOf(usage) <= largestCount ? usage : counted;
}
