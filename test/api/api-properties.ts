/**
 * What holds for every request: the answer is in the document, it is no failure, the same question has the same
 * answer, and both servers say the same. Each server has a database of its own, and both databases hold the same.
 */
import fc from 'fast-check';
import type { OpenApi } from '../../src/api/openapi/reference-page.ts';
import { createStore, type Store } from '../../src/store/clickhouse-client.ts';
import { migrate } from '../../src/store/migrations.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { type ApiFixture, SERVERS, startApi } from './api-fixture.ts';
import { insertLogs, insertSources } from './log-rows.ts';
import { type RandomRequest, randomRequests } from './random-requests.ts';

const NOW_MS = Date.parse('2026-01-02T04:00:00Z');
const ROWS = 40;
const FAILED = 500;
/** Not the server's to choose, or of this one exchange. */
const OTHER_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'keep-alive',
  'transfer-encoding',
  'x-request-id',
]);
/** Tell times and ids that are made while they are asked. */
const CHANGING: ReadonlySet<string> = new Set(['auth', 'users']);

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export class ApiPair {
  readonly #clickhouse: TestClickHouse;
  readonly #stores: readonly Store[];
  readonly #apis: readonly ApiFixture[];
  readonly #requests: fc.Arbitrary<RandomRequest>;
  readonly #tags: ReadonlyMap<string, string>;
  /** Of the answers seen. */
  readonly statuses = new Map<number, number>();

  private constructor(parts: {
    readonly clickhouse: TestClickHouse;
    readonly stores: readonly Store[];
    readonly apis: readonly ApiFixture[];
    readonly document: OpenApi;
    readonly ids: readonly string[];
  }) {
    this.#clickhouse = parts.clickhouse;
    this.#stores = parts.stores;
    this.#apis = parts.apis;
    const known = { id: parts.ids, name: ['ann', 'bob'], username: ['ann', 'bob'], code: ['bad_request'] };
    this.#requests = randomRequests(parts.document, { known });
    this.#tags = tagsOf(parts.document);
  }

  static async start(): Promise<ApiPair> {
    const clickhouse = await startClickHouse();
    const { connection, telemetry, store } = clickhouse;
    await store.command('CREATE DATABASE other');
    const stores = [store, createStore({ ...connection, database: 'other' })];
    const cursorSecret = Buffer.alloc(32);
    const apis: ApiFixture[] = [];
    for (const [i, kind] of SERVERS.entries()) {
      const own = stores[i] ?? store;
      await migrate(own, { telemetry });
      await insertSources(own);
      await insertLogs(
        own,
        Array.from({ length: ROWS }, (_, row) => logRow(row)),
      );
      const api = await startApi(kind, own, { cursorSecret });
      api.clock.nowMs = NOW_MS;
      apis.push(api);
    }
    const [first] = apis;
    const document = (await (await fetch(`${first?.base}/openapi.json`)).json()) as OpenApi;
    const { body } = (await first?.get('/logs?limit=3')) ?? { body: undefined };
    const ids = (body as { data: { id: string }[] }).data.map(({ id }) => id);
    return new ApiPair({ clickhouse, stores, apis, document, ids });
  }

  /** Rejects with the smallest request for which something does not hold. */
  async check({ seed, runs }: { readonly seed: number; readonly runs: number }): Promise<void> {
    const property = fc.asyncProperty(this.#requests, (request) => this.#hold(request));
    await fc.assert(property, { seed, numRuns: runs, endOnFailure: true });
  }

  async stop(): Promise<void> {
    for (const api of this.#apis) await api.stop();
    await this.#stores[1]?.close();
    await this.#clickhouse.stop();
  }

  async #hold(request: RandomRequest): Promise<void> {
    const answers: Answer[] = [];
    for (const api of this.#apis) {
      const answer = await this.#ask(api, request);
      if (request.method === 'GET') checkSame(request, [answer, await this.#ask(api, request)]);
      answers.push(answer);
    }
    checkSame(request, answers);
  }

  async #ask(
    api: ApiFixture,
    { operationId, method, target, headers, body, asker }: RandomRequest,
  ): Promise<Answer> {
    const authorization = asker === 'nobody' ? {} : { Authorization: `Bearer ${await api.token(asker)}` };
    const ending = new AbortController();
    const init = {
      method,
      headers: { ...headers, ...authorization },
      signal: ending.signal,
      ...(body === undefined ? {} : { body }),
    };
    const answer = await fetch(api.base + target, init);
    const isStream = answer.headers.get('content-type') === 'text/event-stream';
    const text = isStream ? '' : await answer.text();
    // It has no end of its own.
    if (isStream) ending.abort();
    this.statuses.set(answer.status, (this.statuses.get(answer.status) ?? 0) + 1);
    const { violations } = api.contract;
    if (violations.length > 0) throw new Error(violations.splice(0).join('\n'));
    if (answer.status >= FAILED)
      throw new Error(`${method} ${target} failed: ${text} ${JSON.stringify(api.telemetry.events.at(-1))}`);
    const isChanging = CHANGING.has(this.#tags.get(operationId) ?? '');
    return isChanging && answer.ok ? shapeOf(answer, text) : exactly(answer, text);
  }
}

function logRow(row: number) {
  return {
    timestamp: new Date(NOW_MS - 60_000 * (row >> 1)).toISOString(),
    level: row % 3 === 0 ? 'WARN' : 'INFO',
    severity_number: row % 3 === 0 ? 13 : 9,
    service: row % 2 === 0 ? 'web' : 'db',
    host: `h-${row % 4}`,
    message: `row ${row}`,
    cpu_usage: row,
    attributes: { k: String(row % 5) },
  };
}

function tagsOf({ paths }: OpenApi): Map<string, string> {
  const tags = new Map<string, string>();
  for (const item of Object.values(paths)) {
    for (const one of Object.values(item)) {
      const { operationId, tags: own } = one as { operationId?: string; tags?: readonly string[] };
      if (operationId !== undefined) tags.set(operationId, own?.[0] ?? '');
    }
  }
  return tags;
}

function exactly(answer: Response, text: string): Answer {
  const names = [...answer.headers.keys()].filter((name) => !OTHER_HEADERS.has(name));
  const headers = Object.fromEntries(names.map((name) => [name, answer.headers.get(name) ?? '']));
  const isJson =
    /json$|json;/.test(headers['content-type'] ?? '') && !headers['content-type']?.includes('ndjson');
  return { status: answer.status, headers, body: isJson ? withoutFigures(JSON.parse(text)) : text };
}

/** Without what is of this one exchange: its id, and what the query took. */
function withoutFigures(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const { request_id: _id, meta: _meta, ...rest } = value as Record<string, unknown>;
  return rest;
}

function shapeOf(answer: Response, text: string): Answer {
  const { status, headers } = exactly(answer, text);
  const names = Object.fromEntries(Object.keys(headers).map((name) => [name, '']));
  const value: unknown = text === '' ? {} : JSON.parse(text);
  return { status, headers: names, body: Object.keys(value as object) };
}

function checkSame({ method, target }: RandomRequest, answers: readonly Answer[]): void {
  const texts = answers.map((answer) => JSON.stringify(answer));
  if (texts[0] !== texts[1]) throw new Error(`${method} ${target} is answered\n${texts.join('\nand\n')}`);
}
