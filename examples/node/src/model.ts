// The language model: an interface, and a fake that answers without one.
import { setTimeout as wait } from 'node:timers/promises';
import type { PathMessage, Usage } from './database.js';

// What a model says beside its text: how many tokens it counted, and what the application wants to keep of the rest.
export interface Remark {
  usage?: Partial<Usage>;
  reported?: unknown; // in place of it: the usage of the provider's response as it came, or an array, one for each call
  metadata?: unknown;
}

export const longestPromptTokens = 4000;

export interface Model {
  countTokens(text: string): number;
  // The pieces of a reply, one token each, and remarks. Ends with an error when the signal is given.
  reply(messages: PathMessage[], signal: AbortSignal): AsyncIterable<string | Remark>;
}

export const countPrompt = (model: Model, path: PathMessage[]): number => path.reduce((sum, message) => sum + model.countTokens(message.content), 0);

// Says back what it was told, a word at a time: "30 words" in a question makes a reply of 30, "fail" makes it break off.
export class FakeModel implements Model {
  readonly #delayMillis: number;

  constructor(delayMillis: number) {
    this.#delayMillis = delayMillis;
  }

  countTokens(text: string): number {
    return text.split(/\s+/).filter(Boolean).length;
  }

  async *reply(messages: PathMessage[], signal: AbortSignal): AsyncIterable<string> {
    const question = messages.at(-1)?.content ?? '';
    const asked = /\b(\d{1,4}) words\b/.exec(question)?.[1];
    const words = asked ? Array.from({ length: Number(asked) }, (_, index) => `word${index + 1}`) : ['You', 'said:', ...question.split(/\s+/)];
    for (const [index, word] of words.entries()) {
      await wait(this.#delayMillis, undefined, { signal });
      if (/\bfail\b/.test(question) && index === 3) throw new Error('the model broke off');
      yield index === 0 ? word : ` ${word}`;
    }
  }
}
