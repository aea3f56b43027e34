/**
 * Every route of the document, asked by every role with and without a scope, with tokens and with keys, and what each
 * of them must be answered.
 */
import type { ApiKeyTable } from '../../src/api/api-keys/api-keys.ts';
import type { Users } from '../../src/api/auth/users.ts';
import { type Described, type OpenApi, operationsOf } from '../../src/api/openapi/reference-page.ts';
import type { Role } from '../../src/api/route.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { PASSWORD } from './api-fixture.ts';
import { insertLogs, insertSources } from './log-rows.ts';

/** Required query parameters. */
const VALUES: Readonly<Record<string, string>> = { field: 'service' };
/** For users, not for keys: these are about a login. */
const OF_LOGINS: ReadonlySet<string> = new Set(['changePassword', 'createTicket', 'logout']);
/** In rows that are outside of every scope. */
const MARK = 'outside-7f3a';
const SCOPE = { services: ['mine'] };

export interface Asker {
  readonly name: string;
  /** Undefined: nobody that is known. */
  readonly role: Role | undefined;
  readonly isScoped: boolean;
  readonly isKey: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

const ROLES = ['admin', 'analyst', 'viewer', 'writer'] as const;

/** Some logs of which half are marked, and a user for each role. */
export async function prepareMatrix(store: Store, users: Users): Promise<void> {
  await insertSources(store);
  const ingested_at = new Date().toISOString();
  const timestamp = new Date(Date.now() - 60_000).toISOString();
  const rows = [MARK, MARK, 'mine', 'mine'].map((service) => {
    return {
      timestamp,
      ingested_at,
      service,
      host: `${service}-host`,
      message: `by ${service}`,
      cpu_usage: 1,
    };
  });
  await insertLogs(store, rows);
  for (const role of ROLES) {
    for (const isScoped of scopesOf(role)) {
      const name = nameOf(role, isScoped);
      await users.add({ name, password: PASSWORD, role, scope: isScoped ? SCOPE : {} }, 'test');
    }
  }
}

/** What the program at `base` says that it has; logging out comes last, since it ends what the others need. */
export async function readOperations(base: string): Promise<readonly Described[]> {
  const document = (await (await fetch(`${base}/openapi.json`)).json()) as OpenApi;
  return operationsOf(document).toSorted((a, b) => Number(isLogout(a)) - Number(isLogout(b)));
}

function isLogout({ operation }: Described): boolean {
  return operation.operationId === 'logout';
}

/** An admin has no scope. */
function scopesOf(role: Role): readonly boolean[] {
  return role === 'admin' ? [false] : [false, true];
}

function nameOf(role: Role, isScoped: boolean): string {
  return isScoped ? `scoped-${role}` : role;
}

/** Keys of every role, and what is no key. */
export async function addKeys(table: ApiKeyTable): Promise<Asker[]> {
  const askers: Asker[] = [];
  const add = async (name: string, role: Role, isScoped: boolean): Promise<{ id: string; text: string }> => {
    const scope = isScoped ? SCOPE : {};
    const { key, text } = await table.add({ name, role, scope, expiresMs: undefined }, 'test');
    return { id: key.id, text };
  };
  for (const role of ['analyst', 'viewer', 'writer'] as const) {
    for (const isScoped of scopesOf(role)) {
      const name = `key of ${nameOf(role, isScoped)}`;
      const { text } = await add(name, role, isScoped);
      askers.push({ name, role, isScoped, isKey: true, headers: { 'X-API-Key': text } });
    }
  }
  const { id, text } = await add('revoked', 'analyst', false);
  await table.change(id, { isRevoked: true }, { changedBy: 'test', check: () => undefined });
  const nobody = { role: undefined, isScoped: false, isKey: true };
  return [
    ...askers,
    { ...nobody, name: 'nobody', headers: {} },
    { ...nobody, name: 'a made-up token', headers: { Authorization: 'Bearer a.b.c' } },
    { ...nobody, name: 'a revoked key', headers: { 'X-API-Key': text } },
  ];
}

/** The users that `prepareMatrix` made, with tokens of the program at `base`. */
export async function logInAll(base: string): Promise<Asker[]> {
  const users: Asker[] = [];
  for (const role of ROLES) {
    for (const isScoped of scopesOf(role)) {
      const name = nameOf(role, isScoped);
      const answer = await fetch(`${base}/auth/login`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ username: name, password: PASSWORD }),
      });
      const { access_token: token } = (await answer.json()) as { access_token: string };
      const headers = { Authorization: `Bearer ${token}` };
      users.push({ name, role, isScoped, isKey: false, headers });
    }
  }
  return users;
}

/** What the document says of them. */
function expectedStatus(described: Described, { role, isScoped, isKey }: Asker): number {
  const { operation } = described;
  const { 'x-permission': permission, 'x-roles': roles, 'x-scoped': isOpenToScoped } = operation;
  if (permission !== 'public') {
    if (role === undefined) return 401;
    if (!roles.includes(role)) return 403;
    if (isScoped && !isOpenToScoped) return 403;
    if (isKey && OF_LOGINS.has(operation.operationId)) return 403;
  }
  return passedStatus(described);
}

/** Of a request with nothing in its body, about something that is not there. */
function passedStatus({ path, operation }: Described): number {
  if (operation.requestBody !== undefined && !operation.tags.includes('ingest')) return 422;
  if (path.includes('{')) return 404;
  const [first = 0] = Object.keys(operation.responses).map(Number);
  return first;
}

async function ask(base: string, { method, path, operation }: Described, asker: Asker) {
  const required = (operation.parameters ?? []).filter(
    ({ in: place, required }) => place === 'query' && required,
  );
  const query = new URLSearchParams(required.map(({ name }): [string, string] => [name, VALUES[name] ?? '']));
  const body = operation.requestBody === undefined ? {} : { body: '{}' };
  const url = `${base}${path.replaceAll(/\{\w+\}/g, 'x')}?${query.toString()}`;
  const headers = { 'Content-Type': 'application/json', ...asker.headers };
  const ending = new AbortController();
  const answer = await fetch(url, { method, headers, ...body, signal: ending.signal });
  const { status } = answer;
  if (answer.headers.get('content-type') !== 'text/event-stream')
    return { status, text: await answer.text() };
  // It has no end of its own.
  ending.abort();
  return { status, text: '' };
}

export interface Matrix {
  readonly base: string;
  /** What stands between the address and the paths that have versions. */
  readonly versioned: string;
  readonly operations: readonly Described[];
  readonly askers: readonly Asker[];
}

/** Asks everything as everybody: the cells with a wrong answer in words, and how many answers showed `MARK`. */
export async function walkMatrix({ base, versioned, operations, askers }: Matrix) {
  const wrong: string[] = [];
  let cells = 0;
  let marked = 0;
  for (const described of operations) {
    const at = base + (described.base === '' ? '' : versioned);
    for (const asker of askers) {
      const { status, text } = await ask(at, described, asker);
      const expected = expectedStatus(described, asker);
      const cell = `${described.method} ${described.path} as ${asker.name}`;
      if (status !== expected) wrong.push(`${cell}: ${status}, not ${expected}: ${text.slice(0, 200)}`);
      const isMarked = text.includes(MARK);
      if (isMarked && asker.isScoped) wrong.push(`${cell}: shows what is outside of the scope`);
      marked += Number(isMarked);
      cells += 1;
    }
  }
  return { wrong, cells, marked };
}
