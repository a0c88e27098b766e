// The language model: an interface, and a fake that answers without one.
import { setTimeout as wait } from 'node:timers/promises';
import type { PathMessage } from './database.js';

export interface Model {
  countTokens(text: string): number;
  // The pieces of a reply, one token each. Ends with an error when the signal is given.
  reply(messages: PathMessage[], signal: AbortSignal): AsyncIterable<string>;
}

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
