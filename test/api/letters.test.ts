/** `GET /dead-letters` and `GET /dead-letters/:id` on a real ClickHouse. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DeadLetterBlock } from '../../src/encode/dead-letter-block.ts';
import { LetterSeal } from '../../src/encode/letter-seal.ts';
import { encodeEventId } from '../../src/event/event-id.ts';
import type { DeadLetterReason } from '../../src/event/reasons.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { TEST_LETTER_KEY } from '../support/letters.ts';
import { type ApiFixture, startApi } from './api-fixture.ts';

const TIME_US = 1_767_323_045_678_901;
let clickhouse: TestClickHouse;
let api: ApiFixture;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const { store } = clickhouse;
  await store.insertJson('sources', [
    { number: 0, kind: 'http', cluster: '', topic: '', generation: 0 },
    { number: 1, kind: 'kafka', cluster: 'c', topic: 'logs', generation: 0 },
  ]);
  for (let offset = 0; offset < 7; offset += 1) {
    await addLetter(1, offset, { text: `{"password":"hunter${offset}"`, reason: 'malformed_json' });
  }
  await addLetter(0, 0, { text: 'other', reason: 'record_too_large' });
  await addLetter(0, 1, { text: 'sealed by another', reason: 'record_too_large', key: new Uint8Array(32) });
  const moved = { source: 1, partition: 2, offset: 6, content: 'record', is_moved: true };
  await store.insertJson('redrives', [
    { ...moved, record_time: '2026-01-02T03:04:05.678901Z', attempted_at: '2026-01-03T00:00:00Z' },
  ]);
  api = await startApi('node', store);
});
afterAll(async () => {
  await api.stop();
  await clickhouse.stop();
});

async function addLetter(
  source: number,
  offset: number,
  letter: { text: string; reason: DeadLetterReason; key?: Uint8Array },
): Promise<void> {
  const block = new DeadLetterBlock(new LetterSeal([letter.key ?? TEST_LETTER_KEY]));
  block.reset({ source, partition: 2 });
  const bytes = Buffer.from(letter.text);
  const range = {
    offset,
    toOffset: offset + 1,
    recordCount: 1,
    content: 'record',
    recordTimeUs: TIME_US,
  } as const;
  block.add(letter.reason, { ...range, detail: 'why', bytes, start: 0, end: bytes.length });
  await createBlockStore(clickhouse.store, { owner: 'test', isGuarded: false }).insertBlocks(
    'dead_letters',
    [block.finish()],
    [],
  );
}

function idOf(source: number, offset: number): string {
  return encodeEventId({ timestampUs: TIME_US, source, partition: 2, offset });
}

test('lists them newest first, page by page, without those that moved', async () => {
  const seen: string[] = [];
  let cursor = '';
  for (let page = 0; page < 5; page += 1) {
    const { status, body } = await api.get(`/dead-letters?limit=3${cursor}`, 'analyst');
    expect(status).toBe(200);
    seen.push(...body.data.map((letter: { id: string }) => letter.id));
    if (body.page.next === null) break;
    cursor = `&cursor=${body.page.next}`;
  }
  const expected = [idOf(0, 1), idOf(0, 0), ...[5, 4, 3, 2, 1, 0].map((offset) => idOf(1, offset))];
  expect(seen).toEqual(expected);
});

test('filters by reason, source and time', async () => {
  const count = async (query: string): Promise<number> =>
    (await api.get(`/dead-letters?${query}`, 'admin')).body.data.length;
  expect(await count('reason=record_too_large')).toBe(2);
  expect(await count('reason=record_too_large&reason=malformed_json')).toBe(8);
  expect(await count('source=logs')).toBe(6);
  expect(await count('source=http')).toBe(2);
  expect(await count('from=now-1h')).toBe(8);
  expect(await count('to=now-1h')).toBe(0);
  expect((await api.get('/dead-letters?reasons=x', 'admin')).status).toBe(400);
});

test('shows one with its content masked', async () => {
  const { status, body } = await api.get(`/dead-letters/${idOf(1, 3)}`, 'analyst');
  expect(status).toBe(200);
  expect(body).toEqual({
    id: idOf(1, 3),
    reason: 'malformed_json',
    detail: 'why',
    source: { kind: 'kafka', topic: 'logs', partition: 2, offset: 3 },
    record_time: '2026-01-02T03:04:05.678901Z',
    stored_at: expect.stringMatching(/^\d{4}-.*Z$/),
    records: 1,
    content: 'record',
    bytes: 21,
    is_sealed: true,
    redriven_at: null,
    preview: '{"password":"***"',
  });
});

test('says which key is missing, and is 404 for what moved or never was', async () => {
  const { body } = await api.get(`/dead-letters/${idOf(0, 1)}`, 'admin');
  expect(body).toMatchObject({ reason: 'record_too_large', preview: null });
  expect(body.preview_problem).toMatch(/sealed with key [0-9a-f]{16}; KEY_FILE holds/);
  for (const id of [idOf(1, 6), idOf(9, 9), 'no-id']) {
    const { status, body: problem } = await api.get(`/dead-letters/${id}`, 'admin');
    expect({ status, code: problem.code }).toEqual({ status: 404, code: 'not_found' });
  }
});

test.each(['viewer', 'writer'] as const)('a %s may not look', async (role) => {
  for (const path of ['/dead-letters', `/dead-letters/${idOf(1, 3)}`]) {
    expect((await api.get(path, role)).status).toBe(403);
  }
});
