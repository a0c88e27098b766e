// Turns whose server was killed: any server that runs ends them, so that their replies do not stay "sending" and what was
// given is not free.
import { describe, isTurnLost, log } from './answers.js';
import { noUsage } from './database.js';
import type { AbandonedTurn, Database } from './database.js';
import { countPrompt, longestPromptTokens } from './model.js';
import type { Model } from './model.js';

const lookEveryMillis = 60000;

// Charges, as of a turn that failed, what was saved of the reply. Nothing, if that is not one word.
export async function endAbandonedTurn(database: Database, model: Model, turn: AbandonedTurn): Promise<void> {
  const usage = { ...noUsage, completionTokens: model.countTokens(turn.content) };
  if (usage.completionTokens > 0) usage.promptTokens = await countPromptOf(database, model, turn);
  await database.failTurn(turn.user_id, turn.reservation_id, 'the server went away', null, usage, null, null);
  log('abandoned_turn_ended', { user_id: turn.user_id, reservation_id: turn.reservation_id, ...usage });
}

async function countPromptOf(database: Database, model: Model, turn: AbandonedTurn): Promise<number> {
  try {
    return countPrompt(model, await database.conversationPath(turn.user_id, turn.message_id, longestPromptTokens));
  } catch (error) {
    if (isTurnLost(error)) return 0; // the question was deleted meanwhile
    throw error;
  }
}

// One that cannot be ended is tried again as long as its reservation is kept.
export async function endAbandonedTurns(database: Database, model: Model): Promise<void> {
  for (const turn of await database.abandonedTurns()) {
    await endAbandonedTurn(database, model, turn).catch((error: unknown) => {
      log('abandoned_turn_not_ended', { user_id: turn.user_id, reservation_id: turn.reservation_id, error: describe(error) });
    });
  }
}

// Looks now and every minute; the function that comes back ends it.
export function watchAbandonedTurns(database: Database, model: Model): () => void {
  const look = (): void => void endAbandonedTurns(database, model).catch((error: unknown) => log('abandoned_turns_not_read', { error: describe(error) }));
  look();
  const timer = setInterval(look, lookEveryMillis);
  return () => clearInterval(timer);
}
