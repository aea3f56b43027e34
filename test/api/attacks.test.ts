/**
 * Requests that mean harm, on both servers and a real ClickHouse: paths, prototype keys, forged log lines, secrets in
 * what is written down, and SQL in every parameter of every route. Attacks on the framing are in http/.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenApi, operationsOf } from '../../src/api/openapi/reference-page.ts';
import type { QueryPort } from '../../src/pipeline/query-port.ts';
import { createServiceTelemetry } from '../../src/telemetry-service.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { until } from '../support/until.ts';
import { type ApiFixture, SERVERS, startApi } from './api-fixture.ts';
import { openRaw } from './http/raw-client.ts';
import { insertLogs, insertSources } from './log-rows.ts';

const MARK = 'mark4711';

let clickhouse: TestClickHouse;
/** What ClickHouse could be made to call. */
let trap: Server;
let trapUrl = '';
let trapCount = 0;
const outfile = join(tmpdir(), `${MARK}-${process.pid}.txt`);
/** Texts of all statements that the API sent. */
const statements: string[] = [];

const TAILS_AT_ONCE = 20;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  await insertSources(clickhouse.store);
  await insertLogs(clickhouse.store, [
    { timestamp: '2026-01-02 03:04:05', offset: 1, message: 'the only one' },
  ]);
  trap = createServer((_request, response) => {
    trapCount++;
    response.end('1\n');
  });
  await new Promise<void>((resolve) => {
    trap.listen(0, '127.0.0.1', resolve);
  });
  trapUrl = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/`;
}, 120_000);

afterAll(async () => {
  trap.close();
  rmSync(outfile, { force: true });
  await clickhouse.stop();
});

/** The real store, whose statements are kept. */
function listening(store: TestClickHouse['store']): QueryPort {
  const keep = (sql: string): string => {
    statements.push(sql);
    return sql;
  };
  return {
    query: (sql, ...rest) => store.query(keep(sql), ...rest),
    select: (sql, ...rest) => store.select(keep(sql), ...rest),
    stream: (sql, ...rest) => store.stream(keep(sql), ...rest),
    insertJson: store.insertJson.bind(store),
  };
}

describe.each(SERVERS)('attacks on %s', (kind) => {
  let api: ApiFixture;
  let token = '';

  beforeAll(async () => {
    api = await startApi(kind, listening(clickhouse.store));
    token = await api.token('admin');
  });

  afterAll(async () => {
    await api.stop();
  });

  /** Sends the path as it is, which no HTTP library does. */
  const rawGet = async (target: string, headers = ''): Promise<string> => {
    const raw = await openRaw(api.port);
    raw.send(
      `GET ${target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n${headers}Connection: close\r\n\r\n`,
    );
    await raw.closed();
    return raw.text();
  };

  it.each([
    '/../logs',
    '/logs/../logs',
    '/%2e%2e/logs',
    '/logs/%2e%2e/pipeline/status',
    '/logs/%2e%2e%2fpipeline%2fstatus',
    '/livez/..%2flogs',
    '//logs',
    '/api/v1//logs',
    '/logs/',
    '/logs//',
    '/LOGS',
    '/logs%00',
    '/logs/%00',
    '/logs%20',
    '/logs;x=1',
    '/\\logs',
    '/logs\\..\\livez',
    '/logs%5c..%5clivez',
    '/%6c%6fgs',
    '/problems/__proto__',
    '/problems/constructor',
    '/problems/..%2f..%2fetc%2fpasswd',
    '/__proto__',
    '/constructor/prototype',
    'http://other.example.com/logs',
  ])('finds nothing at %s', async (target) => {
    const answer = await rawGet(target);
    expect(answer).toMatch(/^HTTP\/1\.1 (400|404|505) /);
    expect(answer).not.toContain('the only one');
  });

  it.each([
    '/logs/%c0%ae%c0%ae',
    '/logs/%c0%af',
    '/logs/%e0%80%af',
    '/logs/%ed%a0%80',
    '/logs/%ff',
    '/logs/%',
  ])('refuses %s, which is no UTF-8', async (target) => {
    expect(await rawGet(target)).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('takes no key of the prototype for a field, a parameter or a header', async () => {
    const { status, body } = await api.get('/logs?__proto__=1');
    expect(status).toBe(400);
    expect(body).toMatchObject({ code: 'bad_request' });
    for (const name of [
      'constructor',
      'toString',
      'hasOwnProperty',
      '__proto__[role]',
      'constructor.prototype',
    ])
      expect((await api.get(`/logs?${encodeURIComponent(name)}=1`)).status).toBe(400);
    for (const name of ['__proto__', 'constructor', 'toString'])
      expect((await api.get(`/logs?attr.${name}=1`)).body).toMatchObject({ data: [] });
    for (const value of ['__proto__', 'constructor', 'toString', 'valueOf']) {
      expect((await api.get(`/logs?level=${value}`)).body).not.toHaveProperty('data.0');
      for (const parameter of ['order', 'limit', 'cursor', 'filter'])
        expect((await api.get(`/logs?${parameter}=${value}`)).status).toBe(400);
    }
    const polluting = `{"__proto__":{"role":"admin","isDisabled":false},"constructor":{"prototype":{"role":"admin"}},
      "username":"the-admin","password":"${MARK}"}`;
    const login = await api.post('/auth/login', polluting);
    expect([401, 422]).toContain(login.status);
    expect(
      (await api.post('/auth/login', '{"__proto__":{"username":"the-admin","password":"x"}}')).status,
    ).toBe(422);
    expect(({} as Record<string, unknown>)['role']).toBeUndefined();
    expect(await rawGet('/logs', 'constructor: x\r\nhasownproperty: y\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('shows metrics to this machine, not to whom a proxy on it serves', async () => {
    expect((await fetch(`${api.base}/metrics`)).status).toBe(200);
    for (const name of ['X-Forwarded-For', 'Forwarded'])
      expect((await fetch(`${api.base}/metrics`, { headers: { [name]: '127.0.0.1' } })).status).toBe(403);
  });

  it('writes one line of log for one event, whatever is in it, and no secret', async () => {
    const secrets = [`${MARK}-password`, `${MARK}-token`, `mr_${MARK}key`, `${MARK}-ticket`];
    const [password = '', bearer = '', key = '', ticket = ''] = secrets;
    const forged = 'eve\r\n{"level":"info","msg":"forged"}\u2028\u0085\u0000\u001b[2J\u009b2J';
    expect((await api.post('/auth/login', { username: forged, password })).status).toBe(401);
    const problems = [
      await (await api.post('/auth/login', { username: password, passwort: password })).text(),
    ];
    for (const headers of [{ Authorization: `Bearer ${bearer}` }, { 'X-API-Key': key }]) {
      const answer = await fetch(`${api.base}/auth/me?ticket=${ticket}`, { headers: { ...headers } });
      expect(answer.status).toBe(401);
      problems.push(await answer.text());
    }
    const requestId = `x {"level":"info"} ${key}`;
    problems.push(
      await rawGet(`/logs?ticket=${ticket}`, `X-Request-Id: ${requestId}\r\nX-API-Key: ${key}\r\n`),
    );
    await clickhouse.store.command('RENAME TABLE logs TO logs_away');
    try {
      problems.push(await rawGet(`/logs?q=${MARK}-token&host=a%0d%0aforged`));
    } finally {
      await clickhouse.store.command('RENAME TABLE logs_away TO logs');
    }
    const events = api.telemetry.events.map(({ event }) => event);
    expect(events).toContain('login_failed');
    expect(events).toContain('request_failed');
    for (const isPretty of [false, true]) {
      let log = '';
      const stream = { write: (line: string) => (log += line) };
      const telemetry = createServiceTelemetry({ level: 'debug', isPretty, stream });
      for (const { event, fields } of api.telemetry.events) telemetry.emit(event, fields);
      // The form for people puts an error into an indented line of its own.
      const lines = log.split(/[\r\n\u2028\u0085]/).filter((line) => /^\S/.test(line));
      expect(lines).toHaveLength(api.telemetry.events.length);
      // oxlint-disable-next-line no-control-regex
      expect(log).not.toMatch(/[\u0000\u001b\u009b]/);
      const written = [log, await telemetry.render(), JSON.stringify(api.telemetry.events), ...problems].join(
        '\n',
      );
      expect(secrets.filter((secret) => written.includes(secret))).toEqual([]);
    }
  });

  it('puts nothing of any parameter into a statement, and calls nothing of ClickHouse’s functions', async () => {
    const payloads = [
      `${MARK}') UNION ALL SELECT * FROM url('${trapUrl}', 'CSV', 'x String') --`,
      `${MARK}" OR 1 IN (SELECT * FROM url('${trapUrl}', CSV, 'x String')) INTO OUTFILE '${outfile}' --`,
      `{${MARK}:String} \\' ; INSERT INTO FUNCTION url('${trapUrl}', CSV, 'x String') SELECT 1; \`) FORMAT Native`,
    ];
    statements.length = 0;
    const failed: string[] = [];
    let sentCount = 0;
    let tails = new AbortController();
    let tailCount = 0;
    for (const target of await targets(api, payloads)) {
      const headers = { Authorization: `Bearer ${token}` };
      const answer = await fetch(api.base + target, { headers, signal: tails.signal });
      if (answer.status >= 500) failed.push(target);
      const isTail = answer.headers.get('content-type') === 'text/event-stream';
      if (!isTail) await answer.arrayBuffer();
      sentCount++;
      if (!isTail || ++tailCount % TAILS_AT_ONCE > 0) continue;
      // The filters of all tails, some of which are the same, stand in one statement, once a second.
      const asked = statements.length;
      await until(() => statements.slice(asked).some((sql) => sql.includes('{g5_')));
      tails.abort();
      tails = new AbortController();
    }
    tails.abort();
    expect(tailCount).toBeGreaterThan(TAILS_AT_ONCE);
    expect(failed).toEqual([]);
    expect(sentCount).toBeGreaterThan(100);
    // What was searched for went to ClickHouse, as parameters.
    expect(statements.length).toBeGreaterThan(20);
    expect(statements.filter((sql) => sql.includes(MARK))).toEqual([]);
    expect(statements.filter((sql) => /OUTFILE|\b(url|file|remote|s3|executable)\s*\(/i.test(sql))).toEqual(
      [],
    );
    expect(trapCount).toBe(0);
    expect(existsSync(outfile)).toBe(false);
    expect(readdirSync(clickhouse.dataDir).filter((name) => name.includes(MARK))).toEqual([]);
  }, 120_000);
});

/** Every parameter of every GET of the document, in the path and in the query, with every payload. */
async function targets(api: ApiFixture, payloads: readonly string[]): Promise<string[]> {
  const document = (await (await fetch(`${api.base}/openapi.json`)).json()) as OpenApi;
  const found: string[] = [];
  for (const { method, base, path, operation } of operationsOf(document)) {
    if (method !== 'GET') continue;
    const { parameters = [] } = operation;
    const plain = base + path.replaceAll(/\{\w+\}/g, 'x');
    for (const parameter of parameters) {
      for (const payload of payloads) {
        const text = encodeURIComponent(payload);
        if (parameter.in === 'path') found.push(base + path.replace(`{${parameter.name}}`, text));
        if (parameter.in !== 'query') continue;
        const names = parameter.name === 'attr' ? ['attr.a', `attr.${text}`] : [parameter.name];
        for (const name of names) found.push(`${plain}?${name}=${text}`);
        if (parameter.name === 'filter') {
          found.push(`${plain}?filter=${encodeURIComponent(`host = "${MARK}" or message contains "')--"`)}`);
        }
      }
    }
  }
  return found;
}
