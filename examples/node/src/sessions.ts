// Who is calling. Of a password and of a session's token the database holds hashes alone.
import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { HttpError } from './answers.js';
import type { Database, Session, Uuid } from './database.js';

const sessionDays = 30;
const cost = { N: 16384, r: 8, p: 5, maxmem: 64 * 1024 * 1024 };
const keyBytes = 32;

const derive = (password: string, salt: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => scrypt(password.normalize('NFKC'), salt, keyBytes, cost, (error, key) => (error ? reject(error) : resolve(key))));

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return `scrypt$${cost.N}$${cost.r}$${cost.p}$${salt.toString('base64')}$${(await derive(password, salt)).toString('base64')}`;
}

async function isPassword(password: string, stored: string | undefined): Promise<boolean> {
  const [, , , , salt = '', key = ''] = (stored ?? '').split('$');
  const expected = Buffer.from(key, 'base64');
  // Derived for an unknown address too: the time of an answer must not tell who has an account.
  const derived = await derive(password, Buffer.from(salt, 'base64'));
  return expected.length === keyBytes && timingSafeEqual(derived, expected);
}

const hashToken = (token: string): string => createHash('sha256').update(token).digest('hex');

export async function logIn(database: Database, email: string, password: string, address: string | null, userAgent: string | null) {
  const found = await database.findCredentials(email);
  if (!(await isPassword(password, found?.password_hash)) || !found) throw new HttpError(401, 'wrong_credentials', 'the address or the password is wrong');
  const token = randomBytes(32).toString('base64url');
  const expiresAt = await database.createSession(found.id, hashToken(token), sessionDays, address, userAgent);
  return { user_id: found.id as Uuid, token, expires_at: expiresAt };
}

export async function authenticate(database: Database, authorization: string | undefined): Promise<Session> {
  const token = /^Bearer +([A-Za-z0-9_-]{1,200})$/i.exec(authorization ?? '')?.[1];
  const session = token === undefined ? undefined : await database.findSession(hashToken(token));
  if (!session) throw new HttpError(401, 'not_logged_in', 'log in first', { 'WWW-Authenticate': 'Bearer' });
  return session;
}
