import { afterAll, beforeAll, expect, test } from 'vitest';
import { DeadLetterBlock } from '../../src/encode/dead-letter-block.ts';
import { LetterSeal } from '../../src/encode/letter-seal.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { readLetters, TEST_LETTER_KEY } from '../support/letters.ts';

const RECORD_US = 1_767_323_045_678_901;
let clickhouse: TestClickHouse;
beforeAll(async () => {
  clickhouse = await startClickHouse();
});
afterAll(() => clickhouse.stop());

test('keeps payloads byte for byte, invalid UTF-8 included, and sealed', async () => {
  const block = new DeadLetterBlock(new LetterSeal([TEST_LETTER_KEY]));
  const bytes = Uint8Array.from({ length: 300 }, (_, index) => index & 0xff);
  const add = (): void => {
    block.reset({ source: 5, partition: 6 });
    const one = {
      offset: 11,
      toOffset: 12,
      recordCount: 1,
      content: 'record',
      recordTimeUs: RECORD_US,
    } as const;
    block.add('malformed_json', { ...one, detail: 'why', bytes, start: 10, end: 290 });
    const many = { offset: 12, toOffset: 20, recordCount: 8, content: 'batches', recordTimeUs: -5 } as const;
    block.add('unknown_codec', { ...many, detail: '', bytes, start: 0, end: 0 });
  };
  add();
  const first = block.finish();
  add();
  const second = block.finish();
  expect(Buffer.from(second.bytes).equals(Buffer.from(first.bytes))).toBe(true);
  await createBlockStore(clickhouse.store, { owner: 'test', isGuarded: false }).insertBlocks(
    'dead_letters',
    [first],
    [],
  );
  expect(await readLetters(clickhouse.store)).toEqual([
    {
      source: 5,
      partition: 6,
      offset: 11,
      toOffset: 12,
      recordCount: 1,
      recordTimeUs: RECORD_US,
      content: 'record',
      reason: 'malformed_json',
      detail: 'why',
      bytes: Buffer.from(bytes.subarray(10, 290)),
    },
    {
      source: 5,
      partition: 6,
      offset: 12,
      toOffset: 20,
      recordCount: 8,
      recordTimeUs: 0,
      content: 'batches',
      reason: 'unknown_codec',
      detail: '',
      bytes: Buffer.alloc(0),
    },
  ]);
});
