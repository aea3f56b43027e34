import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createStore, type Store } from '../../src/store/clickhouse-client.ts';
import { registerSource, warnOfFewSources } from '../../src/store/sources.ts';
import type { Telemetry } from '../../src/telemetry.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';

let clickhouse: TestClickHouse;
let other: Store;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  other = createStore(clickhouse.connection);
});

beforeEach(async () => {
  await clickhouse.store.command('TRUNCATE TABLE sources');
});

afterAll(async () => {
  await other.close();
  await clickhouse.stop();
});

const topic = (name: string) => ({ kind: 'kafka', cluster: 'c1', topic: name });
const http = { kind: 'http', cluster: '', topic: '' };

test('a Kafka topic keeps its number', async () => {
  const { store } = clickhouse;
  const logs = await registerSource(store, topic('logs'));
  const metrics = await registerSource(store, topic('system-metrics'));
  expect(metrics.number).not.toBe(logs.number);
  expect((await registerSource(other, topic('logs'))).number).toBe(logs.number);
  expect((await registerSource(store, { ...topic('logs'), cluster: 'c2' })).number).not.toBe(logs.number);
});

test('programs that start together agree on the numbers', async () => {
  const names = ['a', 'b', 'c', 'd'];
  const numbersOf = async (store: Store): Promise<number[]> =>
    (await Promise.all(names.map((name) => registerSource(store, topic(name))))).map(({ number }) => number);
  const [mine, theirs] = await Promise.all([numbersOf(clickhouse.store), numbersOf(other)]);
  expect(mine).toEqual(theirs);
  expect(mine.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
});

test('a topic with another id gets another number, and each id keeps its own', async () => {
  const { store } = clickhouse;
  const first = await registerSource(store, { ...topic('logs'), topicId: 'A' });
  const second = await registerSource(store, { ...topic('logs'), topicId: 'B' });
  expect(first).toMatchObject({ number: 0, generation: 0 });
  expect(second).toMatchObject({ number: 1, generation: 1 });
  expect(await registerSource(other, { ...topic('logs'), topicId: 'A' })).toMatchObject({
    number: 0,
    generation: 0,
  });
  expect(await registerSource(other, { ...topic('logs'), topicId: 'B' })).toMatchObject({
    number: 1,
    generation: 1,
  });
  const elsewhere = { ...topic('logs'), cluster: 'c2', topicId: 'A' };
  expect(await registerSource(store, elsewhere)).toMatchObject({ number: 2, generation: 0 });
});

test('a topic that was registered without an id is taken to have the first one seen', async () => {
  const { store } = clickhouse;
  const old = await registerSource(store, topic('logs'));
  const adopted = await Promise.all(
    [store, other].map((each) => registerSource(each, { ...topic('logs'), topicId: 'A' })),
  );
  expect(adopted.map(({ number }) => number)).toEqual([old.number, old.number]);
  expect((await registerSource(store, { ...topic('logs'), topicId: 'B' })).number).toBe(old.number + 1);
  expect((await registerSource(store, { ...topic('logs'), topicId: 'A' })).number).toBe(old.number);
});

test('a broker that cannot tell ids is given the latest topic of the name', async () => {
  const { store } = clickhouse;
  await registerSource(store, { ...topic('logs'), topicId: 'A' });
  const latest = await registerSource(store, { ...topic('logs'), topicId: 'B' });
  expect(await registerSource(store, topic('logs'))).toEqual(latest);
  expect(await registerSource(store, { ...topic('logs'), topicId: '' })).toEqual(latest);
});

test('every start of a direct source has a partition of its own, also side by side', async () => {
  const starts = await Promise.all(
    [clickhouse.store, other, clickhouse.store, other].map((store) => registerSource(store, http)),
  );
  expect(new Set(starts.map(({ number }) => number)).size).toBe(1);
  expect(starts.map(({ partition }) => partition).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
});

test('a direct source gets a further number when its partitions are used up', async () => {
  const { store } = clickhouse;
  const first = await registerSource(store, http);
  await store.insertJson('sources', [{ ...http, number: first.number, generation: 16_382 }]);
  expect(await registerSource(store, http)).toMatchObject({ number: first.number, partition: 16_383 });
  await registerSource(store, topic('between'));
  expect(await registerSource(store, http)).toMatchObject({ number: first.number + 2, partition: 0 });
  expect(await registerSource(store, http)).toMatchObject({ number: first.number + 2, partition: 1 });
});

test('the 257th source is refused', async () => {
  const { store } = clickhouse;
  await store.insertJson('sources', [{ ...topic('last'), number: 255, generation: 0 }]);
  expect((await registerSource(store, topic('last'))).number).toBe(255);
  await expect(registerSource(store, topic('more'))).rejects.toMatchObject({ code: 'sources_exhausted' });
});

test('from 200 numbers on that are given away, whichever topic is asked for, there is a warning', async () => {
  const { store } = clickhouse;
  const warnings: unknown[] = [];
  const telemetry: Telemetry = { emit: (event, fields) => warnings.push([event, fields]) };
  warnOfFewSources(await registerSource(store, topic('few')), telemetry);
  expect(warnings).toEqual([]);
  await store.insertJson('sources', [{ ...topic('many'), number: 199, generation: 0 }]);
  warnOfFewSources(await registerSource(store, topic('few')), telemetry);
  expect(warnings).toEqual([['sources_scarce', { usedCount: 200, maxCount: 256 }]]);
});
