/**
 * The dead letters of one lane, opened with the key of the program that sealed them, against the broker's bytes: each
 * stands for the offsets it must stand for, and gives back what came in.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { LetterSeal } from '../../../src/encode/letter-seal.ts';
import type { LetterContent } from '../../../src/event/columns.ts';
import { BatchLayout } from '../../../src/parse/record-batch-header.ts';
import type { Store } from '../../../src/store/clickhouse-client.ts';
import { Differences } from './differences.ts';
import type { ExpectedEvents } from './expected-events.ts';
import { type LaneTruth, placeName } from './truth.ts';

/** A letter that must be there, by its first offset. */
export interface ExpectedLetter {
  readonly reason: string;
  /** Exclusive. */
  readonly toOffset: number;
}

export interface LettersToCheck {
  readonly lane: LaneTruth;
  readonly source: number;
  readonly expected: ExpectedEvents;
  readonly letters: ReadonlyMap<number, ExpectedLetter>;
  /** See `readLetterKeys`. */
  readonly keys: readonly Uint8Array[];
}

interface StoredLetter {
  readonly offset: number;
  readonly to_offset: number;
  readonly record_count: number;
  readonly record_us: number;
  readonly reason: string;
  readonly content: LetterContent | '';
  /** Base64. */
  readonly payload: string;
}

const LETTERS_SQL = `SELECT offset, to_offset, record_count, toUnixTimestamp64Micro(record_time) AS record_us, reason,
    content, base64Encode(payload) AS payload
  FROM dead_letters WHERE source = {source:UInt8} AND partition = {partition:UInt16} ORDER BY offset`;

/** The keys of all members; a member that was never started has none. */
export async function readLetterKeys(dataDirs: readonly string[]): Promise<Uint8Array[]> {
  const read = async (dataDir: string): Promise<string> =>
    await readFile(join(dataDir, 'keys/dead-letters.key'), 'latin1').catch(() => '');
  const texts = await Promise.all([...new Set(dataDirs)].map(read));
  return texts.filter((text) => text !== '').map((text) => Buffer.from(text.trim(), 'hex'));
}

export async function letterFindings(store: Store, check: LettersToCheck): Promise<string[]> {
  const { lane, source, letters } = check;
  const found = new Differences();
  const there = new Set<number>();
  const stream = store.stream<StoredLetter>(LETTERS_SQL, { source, partition: lane.partition });
  for await (const rows of stream) {
    for (const letter of rows) {
      const { offset, reason, to_offset, record_count } = letter;
      const where = placeName(lane, offset);
      if (there.has(offset)) found.add('dead-lettered more than once', where);
      there.add(offset);
      const wanted = letters.get(offset);
      if (wanted === undefined) {
        found.add(`dead-lettered (${reason}), but must not be`, where);
        continue;
      }
      if (wanted.reason !== reason) found.add(`dead-lettered as ${reason}, not ${wanted.reason}`, where);
      if (to_offset !== wanted.toOffset || record_count !== wanted.toOffset - offset)
        found.add(`dead letters of other records`, `${where} to ${to_offset}, ${record_count} records`);
      const fault = contentFault(check, letter);
      if (fault !== '') found.add(`dead letters ${fault}`, where);
    }
  }
  for (const [offset, { reason }] of letters)
    if (!there.has(offset)) found.add(`not dead-lettered (${reason})`, placeName(lane, offset));
  return found.sentences();
}

/** Empty: it opens, and what was sealed is what the broker has. */
function contentFault(check: LettersToCheck, letter: StoredLetter): string {
  const { lane, source, keys } = check;
  const { offset, to_offset, record_us, content, payload } = letter;
  if (content === '') return 'in clear text';
  const place = { source, partition: lane.partition, offset, toOffset: to_offset, recordTimeUs: record_us };
  try {
    const bytes = new LetterSeal(keys).open({ ...place, content }, Buffer.from(payload, 'base64'));
    return isAsRead(check, letter, bytes) ? '' : 'whose bytes are not those of the broker';
  } catch (error) {
    return `that cannot be opened (${String(error)})`;
  }
}

function isAsRead(
  { lane, expected }: LettersToCheck,
  { offset, record_us, content }: StoredLetter,
  bytes: Uint8Array,
): boolean {
  const batch = lane.unreadable.get(offset);
  if (batch !== undefined) {
    // The rest of a batch of which no record could be read is all but its header.
    return (
      content !== 'record' && batch.subarray(content === 'batches' ? 0 : BatchLayout.records).equals(bytes)
    );
  }
  const seq = lane.seqAt(offset);
  if (seq !== undefined) return content === 'record' && expected.find(seq)?.valueCrc === crc32(bytes);
  const foreign = lane.foreign.get(offset);
  return (
    content === 'record' &&
    foreign?.value !== undefined &&
    record_us === foreign.timestampMs * 1000 &&
    Buffer.from(foreign.value ?? []).equals(bytes)
  );
}
