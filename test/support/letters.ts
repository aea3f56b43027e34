/**
 * Dead letters as tests look at them: opened, straight from the table.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeadLetter } from '../../src/encode/dead-letter-block.ts';
import { LetterSeal } from '../../src/encode/letter-seal.ts';
import type { LetterContent } from '../../src/event/columns.ts';
import type { DeadLetterReason } from '../../src/event/reasons.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';

export const TEST_LETTER_KEY = Uint8Array.from({ length: 32 }, (_, index) => index);

/** The key of the tests as a start would have left it in a data directory. */
export function writeLetterKey(dataDir: string): void {
  mkdirSync(join(dataDir, 'keys'), { recursive: true, mode: 0o700 });
  const text = `${Buffer.from(TEST_LETTER_KEY).toString('hex')}\n`;
  writeFileSync(join(dataDir, 'keys', 'dead-letters.key'), text, { mode: 0o600 });
}

interface OpenedLetter
  extends Pick<DeadLetter, 'offset' | 'toOffset' | 'recordCount' | 'content' | 'detail'> {
  readonly source: number;
  readonly partition: number;
  readonly recordTimeUs: number;
  readonly reason: DeadLetterReason;
  readonly bytes: Uint8Array;
}

interface Row extends Omit<OpenedLetter, 'bytes' | 'content'> {
  readonly content: LetterContent;
  readonly sealed: string;
}

/** All rows of `dead_letters` that meet the condition, by offset. */
export async function readLetters(
  store: Store,
  condition = '1',
  params: Record<string, unknown> = {},
): Promise<OpenedLetter[]> {
  const seal = new LetterSeal([TEST_LETTER_KEY]);
  const rows = await store.query<Row>(
    `SELECT source, partition, offset, to_offset AS toOffset, record_count AS recordCount, content, reason, detail,
       toUnixTimestamp64Micro(record_time) AS recordTimeUs, base64Encode(payload) AS sealed
     FROM dead_letters WHERE ${condition} ORDER BY offset, record_time`,
    params,
  );
  return rows.map(({ sealed, ...row }) => ({ ...row, bytes: seal.open(row, Buffer.from(sealed, 'base64')) }));
}
