// What the client hears: the status and headers that a decision of the database makes, and those of an error.
import type { Decision } from './database.js';

export class HttpError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly headers: Record<string, string>;
  readonly details: Record<string, unknown>;

  constructor(status: number, reason: string, message: string, headers: Record<string, string> = {}, details: Record<string, unknown> = {}) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.headers = headers;
    this.details = details;
  }
}

// RateLimit-* as the IETF draft "RateLimit header fields for HTTP" names them; NULL, of what has no limit, is no header.
export function rateLimitHeaders(decision: Decision): Record<string, string> {
  if (decision.limit_value === null || decision.remaining === null) return {};
  return {
    'RateLimit-Limit': String(decision.limit_value),
    'RateLimit-Remaining': String(decision.remaining),
    ...(decision.reset_after_seconds === null ? {} : { 'RateLimit-Reset': String(decision.reset_after_seconds) }),
  };
}

const denialTexts: Record<string, string> = {
  quota_exceeded: 'the limit of the plan is reached',
  rate_limited: 'too many calls',
  model_not_in_plan: 'the plan does not include this model',
  too_many_turns: 'as many replies are under way as the plan admits',
  price_unknown: 'this model is not offered, since it has no price',
  maintenance: 'the service is under maintenance',
  capacity: 'the service is busy',
};

// The status is the database's: 402, 403, 429 or 503.
export function denial(decision: Decision): HttpError {
  const reason = decision.reason ?? 'denied';
  const retry: Record<string, string> = decision.retry_after_seconds === null ? {} : { 'Retry-After': String(decision.retry_after_seconds) };
  return new HttpError(decision.http_status ?? 403, reason, denialTexts[reason] ?? 'denied', { ...rateLimitHeaders(decision), ...retry },
    { limit_name: decision.limit_name });
}

const badRequest = new Set(['22001', '22003', '22004', '22007', '22008', '22021', '22023', '22P02', '22P05', '23514']);
// Login or database refused, out of connections, shutting down, read-only after a failover, timeouts, conflicts.
const unavailable = /^(08...|28...|3D000|53...|57...|25006|40001|40P01|55P03)$/;
const socketTroubles = /^(ECONN(REFUSED|RESET|ABORTED)|E(PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|HOSTDOWN|NOTFOUND|AI_AGAIN)|ENOENT)$/;
// What pg says without a code.
const connectionTroubles = /timeout|Connection terminated|Client has encountered a connection error|does not support SSL|not queryable|Cannot use a pool after/i;
const certificateTroubles = /^(ERR_TLS_|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED)/;

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null | undefined)?.code ?? '');

// True where the same call may succeed a little later.
export function isUnavailable(error: unknown): boolean {
  const code = codeOf(error);
  if (code) return unavailable.test(code) || socketTroubles.test(code) || certificateTroubles.test(code);
  const ofEachAddress = (error as { errors?: unknown } | null | undefined)?.errors;
  if (Array.isArray(ofEachAddress)) return ofEachAddress.some(isUnavailable);
  return error instanceof Error && connectionTroubles.test(error.message);
}

// Errors of the database by SQLSTATE. What the client cannot mend is told to the log, not to the client.
export function httpErrorOf(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'P0002') return new HttpError(404, 'not_found', message);
  if (code === 'UQ006') return new HttpError(422, 'idempotency_key_reused', 'the Idempotency-Key came with another request before');
  if (code === '23505') return new HttpError(409, 'exists_already', 'this exists already');
  if (badRequest.has(code)) return new HttpError(400, 'bad_request', message);
  if (isUnavailable(error)) return new HttpError(503, 'database_unavailable', 'the database cannot be reached', { 'Retry-After': '5' });
  return new HttpError(500, 'internal_error', 'internal error');
}

export const isInvalid = (error: unknown): boolean => ['22003', '22023'].includes(codeOf(error));
export const isUnpriced = (error: unknown): boolean => codeOf(error) === 'UQ009';
export const isTurnOver = (error: unknown): boolean => codeOf(error) === '55000';
export const isTurnLost = (error: unknown): boolean => codeOf(error) === 'P0002';
export const isEndedOtherwise = (error: unknown): boolean => codeOf(error) === 'UQ006';

// One line of JSON for each event. Nothing secret goes here: no passwords, tokens or contents.
export function log(event: string, fields: Record<string, unknown> = {}): void {
  console.error(JSON.stringify({ at: new Date().toISOString(), event, ...fields }));
}

export function describe(error: unknown): string {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message || error.name : String(error);
  return code ? `${message} (${code})` : message;
}
