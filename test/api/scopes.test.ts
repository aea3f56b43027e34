/**
 * Scopes: what a scoped user or key is shown and may post, on both servers, and what becomes of lines outside.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Role } from '../../src/api/route.ts';
import type { Scope } from '../../src/api/scope.ts';
import { DirectSource } from '../../src/pipeline/direct-source.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { startPipeline } from '../support/pipeline.ts';
import { type ApiFixture, PASSWORD, SERVERS, startApi } from './api-fixture.ts';
import { insertLogs } from './log-rows.ts';

const BASE_MS = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 7_200_000;
const RANGE = `from=${new Date(BASE_MS).toISOString()}&to=${new Date(BASE_MS + 600_000).toISOString()}`;

let clickhouse: TestClickHouse;

const ROWS = ['web', 'db'].flatMap((service) =>
  ['a', 'b'].flatMap((host) => ['prod', 'dev'].map((environment) => ({ service, host, environment }))),
);

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const ingested_at = new Date().toISOString();
  const rows = ROWS.map((row, i) => {
    const timestamp = new Date(BASE_MS + i * 1000).toISOString();
    return { timestamp, ingested_at, ...row, level: 'INFO', message: 'm', cpu_usage: 10 * (i + 1) };
  });
  await insertLogs(clickhouse.store, rows);
});

afterAll(async () => {
  await clickhouse.stop();
});

interface Shown {
  readonly id: string;
  readonly service: string;
  readonly host: string;
  readonly environment: string;
}

describe.each(SERVERS)('scopes on %s', (kind) => {
  let api: ApiFixture;
  /** Authorization of a fresh user with that scope. */
  let authorize: (scope: Scope, role?: Role) => Promise<string>;

  beforeAll(async () => {
    api = await startApi(kind, clickhouse.store);
    let count = 0;
    authorize = async (scope, role = 'analyst') => {
      const name = `${kind}-${count++}`;
      await api.users.add({ name, password: PASSWORD, role, scope }, 'test');
      const answer = await api.post('/auth/login', { username: name, password: PASSWORD });
      const { access_token: token } = (await answer.json()) as { access_token: string };
      return `Bearer ${token}`;
    };
  });

  afterAll(async () => {
    await api.stop();
  });

  const get = async (path: string, authorization: string) => {
    const answer = await fetch(api.base + path, { headers: { Authorization: authorization } });
    return { status: answer.status, body: (await answer.json()) as any }; // oxlint-disable-line typescript/no-explicit-any
  };

  it.each<[string, Scope]>([
    ['nothing', {}],
    ['a service', { services: ['web'] }],
    ['two hosts', { hosts: ['a', 'nowhere'] }],
    ['all three', { services: ['web', 'db'], hosts: ['b'], environments: ['prod'] }],
    ['what is not there', { environments: ['staging'] }],
  ])('of %s hold lists, ids and sums', async (_name, scope) => {
    const authorization = await authorize(scope);
    const inside = ROWS.filter(
      (row) =>
        (scope.services?.includes(row.service) ?? true) &&
        (scope.hosts?.includes(row.host) ?? true) &&
        (scope.environments?.includes(row.environment) ?? true),
    );
    const { body } = await get(`/logs?${RANGE}&order=asc`, authorization);
    const shown = body.data as Shown[];
    expect(shown.map(({ service, host, environment }) => ({ service, host, environment }))).toEqual(inside);

    const all = (await get(`/logs?${RANGE}`, `Bearer ${await api.token('viewer')}`)).body.data as Shown[];
    expect(all).toHaveLength(ROWS.length);
    const ids = new Set(shown.map(({ id }) => id));
    for (const { id } of all) {
      expect([id, (await get(`/logs/${id}`, authorization)).status]).toEqual([id, ids.has(id) ? 200 : 404]);
    }

    const summary = (await get(`/metrics/summary?${RANGE}`, authorization)).body;
    expect(summary.events.total).toBe(inside.length);
    expect(summary.metrics.cpu_usage.samples).toBe(inside.length);
    const hosts = summary.top_hosts.map(({ host }: { host: string }) => host).toSorted();
    expect(hosts).toEqual([...new Set(inside.map(({ host }) => host))].toSorted());
  });

  it('cannot be widened by filters, nor left with the cursor of somebody else', async () => {
    const web = await authorize({ services: ['web'] });
    expect((await get(`/logs?${RANGE}&service=db`, web)).body.data).toEqual([]);
    expect((await get(`/logs?${RANGE}&service=db&service=web`, web)).body.data).toHaveLength(4);
    expect((await get(`/metrics/summary?${RANGE}&service=db`, web)).body.events.total).toBe(0);
    const { next } = (await get(`/logs?${RANGE}&limit=1`, web)).body.page;
    expect((await get(`/logs?${RANGE}&limit=1&cursor=${next}`, web)).status).toBe(200);
    for (const other of [
      await authorize({ services: ['db'] }),
      await authorize({}),
      await authorize({ hosts: ['web'] }),
    ]) {
      expect((await get(`/logs?${RANGE}&limit=1&cursor=${next}`, other)).status).toBe(400);
    }
    // The same scope in another order is the same scope.
    const [one, two] = [
      ['web', 'db'],
      ['db', 'web'],
    ].map((services) => authorize({ services }));
    const cursor = (await get(`/logs?${RANGE}&limit=1`, await (one ?? ''))).body.page.next;
    expect((await get(`/logs?${RANGE}&limit=1&cursor=${cursor}`, await (two ?? ''))).status).toBe(200);
  });

  it('close what is not kept apart by them, whatever the role', async () => {
    const paths = ['/dead-letters', '/dead-letters/x', '/pipeline/ledger', '/pipeline/status'];
    const scoped = await authorize({ services: ['web'] });
    const unscoped = await authorize({});
    for (const path of paths) {
      expect([path, (await get(path, scoped)).status]).toEqual([path, 403]);
      expect([path, (await get(path, unscoped)).status === 403]).toEqual([path, false]);
    }
  });

  it('go with what is posted, and tell the same body of two scopes apart', async () => {
    const scope = { services: ['web'], hosts: ['a'] };
    const post = async (authorization: string) => {
      const headers = { Authorization: authorization, 'Idempotency-Key': 'k' };
      return (await api.post('/logs', { message: 'x' }, headers)).status;
    };
    const scoped = await authorize(scope, 'writer');
    const unscoped = await authorize({}, 'writer');
    expect([await post(scoped), await post(unscoped)]).toEqual([200, 200]);
    expect(api.ingest.scopes.slice(-2)).toEqual([scope, undefined]);
    const [first, second] = api.ingest.keys.slice(-2);
    expect(first?.bodyDigest).not.toBe(second?.bodyDigest);
    expect(await post(await authorize(scope, 'viewer'))).toBe(403);
  });
});

it('keep posted lines outside from being stored, and say so line by line', async () => {
  const subject = await startPipeline({ clickhouse });
  const { arena, coordinator, pool, ownership } = subject.pipeline;
  const [standing] = await ownership.claim([{ source: 210, partition: 1 }]);
  if (standing === undefined) throw new Error('the lane could not be claimed');
  const lane = coordinator.openLane({ ...standing, name: 'http', startOffset: 0 }, standing);
  const source = new DirectSource({
    arena,
    coordinator,
    pool,
    clock: { now: () => Date.now(), steady: () => performance.now() },
    refusal: () => undefined,
    openLane: () => Promise.resolve(lane),
  });
  await source.start();
  const submit = (text: string, scope?: Scope) =>
    source.submit(new TextEncoder().encode(text).buffer, 'ndjson', { scope });
  const scope = { services: ['web'] };
  const reason = expect.any(String);
  const [mixed, outside, free] = await Promise.all([
    submit('{"service":"web","host":"in"}\n{"app":"db","host":"in"}\n{"service":"web"\n', scope),
    submit('{"service":"db","host":"in"}', scope),
    submit('{"service":"db","host":"free"}'),
  ]);
  expect(mixed).toMatchObject({
    kind: 'stored',
    acceptedCount: 1,
    rejectedCount: 2,
    rejected: [
      { line: 2, code: 'out_of_scope', reason },
      { line: 3, code: 'malformed_json', reason, dead_letter_id: expect.any(String) },
    ],
  });
  expect(outside).toMatchObject({
    acceptedCount: 0,
    rejectedCount: 1,
    rejected: [{ line: 1, code: 'out_of_scope' }],
  });
  expect(free).toMatchObject({ acceptedCount: 1, rejectedCount: 0 });
  const stored = await clickhouse.store.query(
    'SELECT service, host FROM logs WHERE source = 210 ORDER BY host',
  );
  expect(stored).toEqual([
    { service: 'db', host: 'free' },
    { service: 'web', host: 'in' },
  ]);
  const letters = await clickhouse.store.query('SELECT reason FROM dead_letters WHERE source = 210');
  expect(letters).toEqual([{ reason: 'malformed_json' }]);
  coordinator.closeLane(lane);
  await subject.stop();
});
