// Who is calling. Of a session's token the database holds a hash alone.
import { createHash, randomBytes } from 'node:crypto';
import { HttpError } from './answers.js';
import type { Database, Session, Uuid } from './database.js';
import { isPassword } from './passwords.js';

const sessionDays = 30;

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
