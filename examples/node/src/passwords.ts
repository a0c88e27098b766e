// Passwords as the database holds them. To derive a key takes a thread of Node's four for a quarter of a second, and names of hosts
// and the password of a connection to the database wait for such threads too: so few are derived at once, and the others wait.
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { HttpError } from './answers.js';

const cost = { N: 16384, r: 8, p: 5, maxmem: 64 * 1024 * 1024 };
const keyBytes = 32;
const derivedAtOnce = 2;
const mostWaiting = 100;

// Lets so many in at once; others wait for their turn, and are turned away with 503 where too many do.
export class Gate {
  readonly #atOnce: number;
  readonly #mostWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(atOnce: number, mostWaiting: number) {
    this.#atOnce = atOnce;
    this.#mostWaiting = mostWaiting;
  }

  async through<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside < this.#atOnce) {
      this.#inside += 1;
    } else {
      if (this.#waiting.length >= this.#mostWaiting)
        throw new HttpError(503, 'busy', 'too many want to log in at this moment', { 'Retry-After': '10' });
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      // Whoever waits longest takes the place.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#inside -= 1;
    }
  }
}

const gate = new Gate(derivedAtOnce, mostWaiting);

const derive = (password: string, salt: Buffer): Promise<Buffer> =>
  gate.through(() => new Promise((resolve, reject) =>
    scrypt(password.normalize('NFKC'), salt, keyBytes, cost, (error, key) => (error ? reject(error) : resolve(key)))));

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return `scrypt$${cost.N}$${cost.r}$${cost.p}$${salt.toString('base64')}$${(await derive(password, salt)).toString('base64')}`;
}

export async function isPassword(password: string, stored: string | undefined): Promise<boolean> {
  const [, , , , salt = '', key = ''] = (stored ?? '').split('$');
  const expected = Buffer.from(key, 'base64');
  // Derived for an unknown address too: the time of an answer must not tell who has an account.
  const derived = await derive(password, Buffer.from(salt, 'base64'));
  return expected.length === keyBytes && timingSafeEqual(derived, expected);
}
