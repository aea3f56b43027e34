/**
 * `/openapi.json`, `/docs`, `/problems/:code` and the typed client, on both servers and a real ClickHouse.
 */
import { createHash } from 'node:crypto';
import { createContext, Script } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { clientText } from '../../deploy/examples/typescript/generate-client.ts';
import { type Log, MillraceClient, ProblemError } from '../../deploy/examples/typescript/millrace-client.ts';
import { type Account, readWarnings } from '../../deploy/examples/typescript/read-warnings.ts';
import { type OpenApi, operationsOf } from '../../src/api/openapi/reference-page.ts';
import { ERROR_KINDS } from '../../src/errors.ts';
import { ApiContract } from '../support/api-contract.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { documentFaults } from '../support/openapi-rules.ts';
import { type ApiFixture, PASSWORD, SERVERS, startApi } from './api-fixture.ts';
import { insertLogs, insertSources } from './log-rows.ts';

interface Described {
  readonly components: {
    readonly securitySchemes: Readonly<Record<string, { type: string; scheme?: string; name?: string }>>;
  };
  readonly paths: Readonly<Record<string, Readonly<Record<string, { security: object[] }>>>>;
}

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  await insertSources(clickhouse.store);
  const rows = Array.from({ length: 250 }, (_, offset) => ({
    timestamp: '2026-01-02 03:04:05',
    offset,
    level: offset % 2 === 0 ? 'WARN' : 'INFO',
    severity_number: offset % 2 === 0 ? 13 : 9,
    message: `row ${offset}`,
    host: 'web-1',
  }));
  await insertLogs(clickhouse.store, rows);
});

afterAll(async () => {
  await clickhouse.stop();
});

async function read(account: Account, maxRows: number): Promise<Log[]> {
  const logs: Log[] = [];
  for await (const log of readWarnings(account, maxRows)) logs.push(log);
  return logs;
}

describe.each(SERVERS)('the description of the API on %s', (kind) => {
  let api: ApiFixture;
  let document: OpenApi;

  beforeAll(async () => {
    api = await startApi(kind, clickhouse.store);
    document = (await (await fetch(`${api.base}/openapi.json`)).json()) as OpenApi;
  });

  afterAll(async () => {
    await api.stop();
  });

  it('is valid OpenAPI 3.1 whose examples fit their schemas', () => {
    expect(documentFaults(document, new ApiContract(document))).toEqual([]);
    expect(document.servers).toEqual([{ url: '/api/v1' }]);
    expect(operationsOf(document).length).toBeGreaterThan(15);
  });

  it('names every way in which the API takes a login', () => {
    const { securitySchemes } = (document as unknown as Described).components;
    const schemes = Object.values(securitySchemes).map(
      ({ type, scheme, name }) => `${type} ${scheme ?? name}`,
    );
    expect(schemes.toSorted()).toEqual(['apiKey X-API-Key', 'apiKey ticket', 'http basic', 'http bearer']);
    const logs = (document as unknown as Described).paths['/logs']?.['get'];
    expect(logs?.security).toEqual([{ bearer: [] }, { apiKey: [] }, { basic: [] }]);
  });

  it.each(['/openapi.json', '/docs', '/problems/bad_request'])('is not sent again: %s', async (path) => {
    const first = await fetch(api.base + path);
    expect(first.status).toBe(200);
    const etag = first.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[\w-]{43}"$/);
    for (const [given, status] of [
      [etag, 304],
      [`W/${etag}`, 304],
      [`"other", ${etag}`, 304],
      ['*', 304],
      ['"other"', 200],
    ] as const) {
      const answer = await fetch(api.base + path, { headers: { 'If-None-Match': given } });
      expect([given, answer.status]).toEqual([given, status]);
      expect(answer.headers.get('etag')).toBe(etag);
      expect((await answer.text()) === '').toBe(status === 304);
    }
    const head = await fetch(api.base + path, { method: 'HEAD' });
    expect([head.status, head.headers.get('etag')]).toEqual([200, etag]);
  });

  it('names only parameters that the routes take, and the routes take no other', async () => {
    const headers = { Authorization: `Bearer ${await api.token('admin')}` };
    for (const { method, path, base, operation } of operationsOf(document)) {
      const url = api.base + base + path.replaceAll(/\{\w+\}/g, 'x');
      if (operation['x-permission'] === 'public' && operation.tags.includes('probes')) continue;
      const answer = await fetch(`${url}?no_such_name=1`, { method, headers });
      const body = (await answer.json()) as { errors: { parameter: string }[] };
      expect([operation.operationId, answer.status, body.errors[0]?.parameter]).toEqual([
        operation.operationId,
        400,
        'no_such_name',
      ]);
    }
  });

  it('gives the bounds that are held', async () => {
    for (const { path, base, operation } of operationsOf(document)) {
      for (const { name, in: place, schema } of operation.parameters ?? []) {
        const { type, maximum } = schema as { type?: string; maximum?: number };
        if (place !== 'query' || type !== 'integer' || maximum === undefined) continue;
        const url = base + path.replaceAll(/\{\w+\}/g, 'x');
        const faultsAt = async (value: number): Promise<string[]> => {
          const { body } = await api.get(`${url}?${name}=${value}`, 'admin');
          const faults = (body as { errors?: { parameter: string }[] }).errors ?? [];
          return faults.map(({ parameter }) => parameter).filter((parameter) => parameter === name);
        };
        expect([path, name, await faultsAt(maximum)]).toEqual([path, name, []]);
        expect([path, name, await faultsAt(maximum + 1)]).toEqual([path, name, [name]]);
      }
    }
  });

  it('says what was probably meant, and points at fields of bodies', async () => {
    const { body } = await api.get('/logs?hots=web-1');
    expect(body).toMatchObject({
      type: '/problems/bad_request',
      detail: 'There is no parameter "hots". Did you mean host?',
      errors: [{ parameter: 'hots', suggestion: 'host' }],
    });
    const answer = await api.post('/auth/login', { username: 7 });
    expect(answer.status).toBe(422);
    expect(await answer.json()).toMatchObject({
      errors: [{ pointer: '#/password' }, { pointer: '#/username', detail: '/username must be string.' }],
    });
  });

  it('has a page for every type of problem', async () => {
    for (const [code, { status, title }] of Object.entries(ERROR_KINDS)) {
      const answer = await fetch(`${api.base}/problems/${code}`);
      expect(answer.status).toBe(200);
      const text = await answer.text();
      expect(text).toContain(`<h1>${title}</h1>`);
      expect(text).toContain(`HTTP status ${status}`);
    }
    for (const name of ['nothing', '__proto__', 'toString', '%3Cscript%3E']) {
      expect((await fetch(`${api.base}/problems/${name}`)).status).toBe(404);
    }
  });

  it('has a reference with every operation, that needs and allows nothing from elsewhere', async () => {
    const answer = await fetch(`${api.base}/docs`);
    const page = await answer.text();
    for (const { operation } of operationsOf(document)) {
      expect(page).toContain(`<details id="${operation.operationId}">`);
    }
    expect(page).not.toMatch(/\b(src|style|on\w+)=|https?:|<link|<img|@import|url\(/);
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(/^default-src 'none';/);
    for (const element of ['script', 'style']) {
      const parts = [...page.matchAll(new RegExp(`<${element}>([^]*?)</${element}>`, 'g'))];
      expect(parts).toHaveLength(1);
      const hash = createHash('sha256')
        .update(parts[0]?.[1] ?? '')
        .digest('base64');
      expect(policy).toContain(`${element}-src 'sha256-${hash}'`);
    }
  });

  it('lets the typed client log in, page and see refusals', async () => {
    await api.token('viewer');
    const account = { url: api.base, username: 'the-viewer', password: PASSWORD };
    const rows = await read(account, 1000);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(125);
    expect(await read(account, 3)).toEqual(rows.slice(0, 3));
    const client = new MillraceClient({ url: api.base });
    const refused = client.login({ body: { username: 'the-viewer', password: 'wrong' } });
    await expect(refused).rejects.toThrow(ProblemError);
    await expect(refused).rejects.toMatchObject({ status: 401, problem: { code: 'unauthorized' } });
    const token = await api.token('writer');
    const writer = new MillraceClient({ url: `${api.base}/`, token: () => token });
    expect(await writer.postLogs({ body: [{ message: 'x' }] })).toEqual({ accepted: 1, rejected: [] });
    expect(await writer.getMe()).toEqual({ username: 'the-writer', role: 'writer' });
  });

  it('gives the typed client a live tail as it comes, though it has no end', async () => {
    const token = await api.token('viewer');
    const viewer = new MillraceClient({ url: api.base, token: () => token });
    const reader = (await viewer.tailLogs()).getReader();
    const decoder = new TextDecoder();
    let text = '';
    while (!text.includes('event: heartbeat')) {
      const { value, done } = await reader.read();
      expect(done).toBe(false);
      text += decoder.decode(value, { stream: true });
    }
    await reader.cancel();
    await expect(viewer.tailLogs({ query: { filter: 'level >' } })).rejects.toMatchObject({ status: 400 });
  });

  it('lets the typed client page on with new tokens when its own have expired', async () => {
    await api.token('viewer');
    let token: string | undefined;
    const client = new MillraceClient({ url: api.base, token: () => token });
    const first = await client.login({ body: { username: 'the-viewer', password: PASSWORD } });
    token = first.access_token;
    const query = { host: ['web-1'], limit: 100 } as const;
    const rows: Log[] = [];
    let cursor: string | null = null;
    let renewals = 0;
    do {
      try {
        const { data, page } = await client.listLogs({
          query: cursor === null ? query : { ...query, cursor },
        });
        rows.push(...data);
        cursor = page.next;
        const laterMs = Date.now() + (first.expires_in + 120) * 1000;
        if (rows.length === 100) vi.useFakeTimers({ toFake: ['Date'], now: laterMs });
      } catch (error) {
        if (!(error instanceof ProblemError) || error.status !== 401 || renewals > 0) throw error;
        renewals += 1;
        ({ access_token: token } = await client.refresh({ body: { refresh_token: first.refresh_token } }));
      }
    } while (cursor !== null);
    vi.useRealTimers();
    expect(renewals).toBe(1);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(250);
  });

  it('is what the typed client was made from', async () => {
    // With another document: `npx vitest run --project unit test/api/openapi.test.ts -u`.
    await expect(clientText(document)).toMatchFileSnapshot(
      '../../deploy/examples/typescript/millrace-client.ts',
    );
  });
});

describe('the check of answers', () => {
  it('sees what is not described', async () => {
    const api = await startApi('node', clickhouse.store);
    const document = (await (await fetch(`${api.base}/openapi.json`)).json()) as OpenApi;
    await api.stop();
    const check = (path: string, status: number, body: unknown): string[] => {
      const contract = new ApiContract(document);
      const request = { method: 'GET', path, signal: new AbortController().signal };
      const headers = { 'Content-Type': 'application/json' };
      contract.check(request as never, { status, headers, body: JSON.stringify(body) });
      return contract.violations;
    };
    const me = { username: 'ann', role: 'viewer' };
    expect(check('/api/v1/auth/me', 200, me)).toEqual([]);
    expect(check('/auth/me', 200, { ...me, secret: 1 })).toHaveLength(2);
    expect(check('/auth/me', 200, { username: 'ann', role: 'root' })).not.toEqual([]);
    expect(check('/auth/me', 418, me)).toEqual(['GET /auth/me: 418 is not in the document']);
    expect(check('/auth/me', 401, me)).toEqual(['GET /auth/me: 401 is of type "application/json"']);
    expect(check('/no/such/route', 200, me)).not.toEqual([]);
  });
});

describe('the search of the reference', () => {
  it('hides what does not hold every word, and sections without a hit', async () => {
    const api = await startApi('node', clickhouse.store);
    const page = await (await fetch(`${api.base}/docs`)).text();
    await api.stop();
    const script = /<script>([^]*)<\/script>/.exec(page)?.[1] ?? '';
    const items = ['GET /logs newest', 'POST /logs'].map((textContent) => ({ textContent, hidden: false }));
    const section = {
      hidden: false,
      querySelector: () => items.find(({ hidden }) => !hidden) ?? null,
    };
    const box = {
      value: '',
      hidden: true,
      addEventListener: (_name: string, run: () => void) => (search = run),
    };
    let search = (): void => undefined;
    const stub = {
      querySelector: () => box,
      querySelectorAll: (selector: string) => (selector === 'details' ? items : [section]),
      getElementById: () => null,
    };
    const context = {
      document: stub,
      location: { hash: '' },
      addEventListener: () => 0,
      HTMLDetailsElement: Map,
    };
    new Script(script).runInContext(createContext(context));
    expect(box.hidden).toBe(false);
    box.value = '  LOGS get ';
    search();
    expect([items.map(({ hidden }) => hidden), section.hidden]).toEqual([[false, true], false]);
    box.value = 'nothing';
    search();
    expect(section.hidden).toBe(true);
  });
});
