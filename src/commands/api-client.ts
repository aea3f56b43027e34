/**
 * The program's own HTTP API as commands use it: find it, log in where it asks, post bodies, read answers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Role } from '../api/route.ts';
import { type ErrorCode, errorMessage, MillraceError, quoteValue } from '../errors.ts';
import { redactUrl, type Secret } from '../secret.ts';
import { readRunFile } from '../store/run-file.ts';
import { localTokenSource } from './local-token.ts';
import { readSecret } from './read-secret.ts';

export interface ApiTarget {
  /** What the command needs to be allowed to do. */
  readonly role: Role;
  /** Base address; default: that of the program running on `dataDir`. */
  readonly url?: string | undefined;
  readonly dataDir: string;
  readonly user?: string | undefined;
  /** File that holds the password; `-` is standard input. */
  readonly passwordFile?: string | undefined;
  readonly tokenFile?: string | undefined;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Asks again after 429 and 503, and with a new token after 401; other refusals are the caller's to judge. */
export interface ApiClient {
  readonly url: string;
  get(path: string): Promise<ApiAnswer>;
  post(path: string, body: string | Uint8Array, contentType: string): Promise<ApiAnswer>;
}

const REQUEST_TIMEOUT_MS = 120_000;
const MAX_RETRIES = 60;

/** Flags that every command has which talks to the API. */
export function addApiOptions(command: Command, urlHelp: string): Command {
  return command
    .option('--url <url>', urlHelp)
    .option(
      '--user <name>',
      'user to log in as (none is needed on the data directory of the running program)',
    )
    .option('--password-file <path>', 'file that holds the password; - is standard input (prompt)')
    .option('--token-file <path>', 'file that holds an access token or API key, instead of a user');
}

export function readApiTarget(
  options: Readonly<Record<string, unknown>>,
  { dataDir, role }: Pick<ApiTarget, 'dataDir' | 'role'>,
): ApiTarget {
  const text = (name: string): string | undefined => {
    const value = options[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    url: text('url'),
    dataDir,
    role,
    user: text('user'),
    passwordFile: text('passwordFile'),
    tokenFile: text('tokenFile'),
  };
}

/** @throws MillraceError `usage` when no program runs there and no address was given. */
async function findApiUrl(target: ApiTarget): Promise<string> {
  if (target.url !== undefined) {
    if (!/^https?:\/\//.test(target.url) || !URL.canParse(target.url)) {
      throw new MillraceError(
        'usage',
        `--url must be an http or https address, not ${quoteValue(target.url)}.`,
      );
    }
    return target.url.replace(/\/$/, '');
  }
  const run = await readRunFile(target.dataDir);
  if (run?.apiUrl === undefined) {
    throw new MillraceError(
      'usage',
      `No program runs on the data directory ${quoteValue(target.dataDir)}; start \`millrace up\`, or give --url.`,
    );
  }
  return run.apiUrl.replace(/\/$/, '');
}

/** Gives a token that is valid now; asked again when the last one has expired. */
type TokenSource = () => Promise<string>;

/** A client that is logged in: by token file, by user and password, or by the keys of the data directory. */
export async function connectApi(target: ApiTarget): Promise<ApiClient> {
  const url = await findApiUrl(target);
  const source = await chooseTokenSource(url, target);
  let token = await source();
  const send = async (path: string, init: RequestInit): Promise<ApiAnswer> => {
    const authorized = (): RequestInit => ({
      ...init,
      headers: { ...(init.headers as Record<string, string>), authorization: `Bearer ${token}` },
    });
    const answer = await requestPatiently(url + path, authorized());
    if (answer.status !== 401) return answer;
    token = await source();
    return await requestPatiently(url + path, authorized());
  };
  return {
    url,
    get: (path) => send(path, {}),
    post: (path, body, contentType) =>
      send(path, { method: 'POST', headers: { 'content-type': contentType }, body }),
  };
}

async function chooseTokenSource(url: string, target: ApiTarget): Promise<TokenSource> {
  if (target.tokenFile !== undefined) {
    const token = await readSecret({ file: target.tokenFile, prompt: 'Token' });
    return () => Promise.resolve(token.reveal());
  }
  const isLocal = target.url === undefined && target.user === undefined && target.passwordFile === undefined;
  const local = isLocal ? localTokenSource(target.dataDir, target.role) : undefined;
  if (local !== undefined) return local;
  const username = target.user ?? 'admin';
  const password = await readSecret({ file: target.passwordFile, prompt: `Password of ${username}` });
  return () => logIn(url, username, password);
}

async function logIn(url: string, username: string, password: Secret): Promise<string> {
  const answer = await request(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password: password.reveal() }),
  });
  const token = readField(answer.body, 'access_token');
  if (answer.status !== 200 || typeof token !== 'string') throw answerError('log in', answer);
  return token;
}

async function requestPatiently(url: string, init: RequestInit): Promise<ApiAnswer> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await request(url, init);
    const isBusy = answer.status === 429 || answer.status === 503;
    if (!isBusy || attempt >= MAX_RETRIES) return answer;
    await sleep(answer.retryAfterMs ?? Math.min(5000, 200 * attempt));
  }
}

async function request(url: string, init: RequestInit): Promise<ApiAnswer & { retryAfterMs?: number }> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, { ...init, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    text = await response.text();
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const why = errorMessage(cause);
    throw new MillraceError('deadline_exceeded', `Cannot reach ${redactUrl(url)}: ${why}.`, { cause: error });
  }
  const seconds = Number(response.headers.get('retry-after') ?? 'none');
  return {
    status: response.status,
    body: parseBody(text),
    ...(Number.isFinite(seconds) ? { retryAfterMs: Math.min(30, Math.max(0.1, seconds)) * 1000 } : {}),
  };
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Field of a JSON answer, undefined where there is none. */
export function readField(body: unknown, name: string): unknown {
  return typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[name] : undefined;
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  413: 'payload_too_large',
  429: 'too_many_requests',
  503: 'store_unavailable',
};

/** The API's refusal as an error that says what could not be done. */
export function answerError(action: string, answer: ApiAnswer): MillraceError {
  const detail = readField(answer.body, 'detail') ?? readField(answer.body, 'title');
  const why = typeof detail === 'string' ? detail : quoteValue(answer.body);
  return new MillraceError(
    CODES[answer.status] ?? 'bad_request',
    `Cannot ${action}: the API answered ${answer.status}: ${why}`,
  );
}
