/**
 * Drives dead letters again: reads them page by page, parses them, stores what is an event now and marks what moved.
 *
 * Killed at any place and run again, each record is stored once: what `logs` holds already is not stored again, and
 * a letter counts as moved when its mark stands.
 */

import { openLetter } from '../api/letters/letter-shape.ts';
import {
  type LetterFilter,
  type LetterPayload,
  type LetterRow,
  letterKey,
  letterStretch,
  payloads,
} from '../api/letters/letter-sql.ts';
import type { LetterSeal } from '../encode/letter-seal.ts';
import { MillraceError, toMillraceError } from '../errors.ts';
import { failpoint } from '../failpoints.ts';
import type { ParsePool } from '../pipeline/parse-pool.ts';
import type { Block } from '../pipeline/parse-protocol.ts';
import type { QueryPort } from '../pipeline/query-port.ts';
import { refusalDetail } from '../pipeline/refusal-detail.ts';
import { laneName, type RedriveMark, type RedriveStore, type StoredRecord } from '../store/redrive-store.ts';
import { type Attempt, attemptLetter } from './redrive-attempt.ts';

export interface RedrivePorts {
  readonly store: QueryPort;
  readonly redrive: RedriveStore;
  readonly pool: ParsePool;
  readonly seal: LetterSeal;
}

/** In letters, but for `records`. */
export interface RedriveSummary {
  moved: number;
  /** What the records of the moved ones have become. */
  readonly records: { stored: number; filtered: number; dead_lettered: number };
  /** Dead letters still, by their newest reason. */
  readonly stayed: Record<string, number>;
  /** Left alone, by why. */
  readonly skipped: Record<string, number>;
}

const PAGE_LETTERS = 500;
const GROUP_BYTES = 8 * 1_048_576;
const NOT_SETTLED = 'It is not settled yet: the ledger has not come to its offset.';
const ANY_SIZE = 2 ** 40;

export class Redrive {
  readonly summary: RedriveSummary = {
    moved: 0,
    records: { stored: 0, filtered: 0, dead_lettered: 0 },
    stayed: {},
    skipped: {},
  };
  readonly #ports: RedrivePorts;

  constructor(ports: RedrivePorts) {
    this.#ports = ports;
  }

  /** At most `limit` letters that meet the filter. */
  async run(filter: LetterFilter, limit: number): Promise<void> {
    const { store } = this.#ports;
    let after: LetterRow | undefined;
    for (let left = limit; left > 0; ) {
      const { sql, params } = letterStretch(filter, PAGE_LETTERS, after);
      const page = await store.query<LetterRow & { readonly is_meant: boolean }>(sql, params);
      if (page.length === 0) return;
      const rows = page.filter((row) => row.is_meant).slice(0, left);
      if (rows.length > 0) await this.#page(rows);
      after = page.at(-1);
      left -= rows.length;
    }
  }

  async #page(rows: readonly LetterRow[]): Promise<void> {
    const endOf = await this.#ports.redrive.ledgerEnds(rows);
    const settled = rows.filter((row) => row.to_offset <= endOf(row));
    this.#skip(NOT_SETTLED, rows.length - settled.length);
    for (const group of groupsOf(settled)) await this.#group(group);
  }

  async #group(rows: readonly LetterRow[]): Promise<void> {
    const attempts = await this.#attempt(rows);
    const moving = attempts.filter(({ stays }) => stays === undefined);
    await this.#mark(attempts.filter(({ stays }) => stays !== undefined));
    const refusal = await this.#storeEvents(moving.flatMap(({ logs }) => logs));
    const [first, ...others] = moving;
    if (refusal === undefined) {
      for (const { row, letters } of moving) await this.#storeLetters(row, letters);
      await failpoint('redrive_between');
      await this.#mark(moving);
    } else if (first !== undefined && others.length === 0) {
      const stays = { reason: 'insert_refused', detail: refusal };
      await this.#mark([{ ...first, stays }]);
    } else {
      // One of them is at fault. Each looks anew what is stored.
      for (const { row } of moving) await this.#group([row]);
    }
  }

  /** Letters of a batch that can be read now. A run before this one may have stored them; they are one insert. */
  async #storeLetters(row: LetterRow, letters: readonly Block[]): Promise<void> {
    if (letters.length === 0) return;
    const { redrive } = this.#ports;
    const { source, partition, offset, to_offset: toOffset } = row;
    if ((await redrive.innerLetterCount({ source, partition, offset, toOffset })) > 0) return;
    await redrive.insert('dead_letters', letters);
  }

  async #mark(attempts: readonly Attempt[]): Promise<void> {
    await this.#ports.redrive.mark(attempts.map(toMark));
    for (const attempt of attempts) this.#count(attempt);
  }

  async #attempt(rows: readonly LetterRow[]): Promise<Attempt[]> {
    const { store, redrive } = this.#ports;
    const { sql, params } = payloads(rows, ANY_SIZE);
    const found = await store.query<LetterPayload>(sql, params);
    const sealed = new Map(found.map((payload) => [letterKey(payload), payload.sealed]));
    const ranges = rows.map((row) => ({ ...row, toOffset: row.to_offset }));
    const stored = storedByLane(await redrive.storedRecords(ranges));
    const attempts: Attempt[] = [];
    const died: LetterRow[] = [];
    const one = async (row: LetterRow): Promise<void> => {
      const bytes = Buffer.from(sealed.get(letterKey(row)) ?? '', 'base64');
      const plain = openLetter(row, bytes, this.#ports.seal);
      const present = presentOf(row, stored.get(laneName(row)) ?? []);
      attempts.push(await attemptLetter({ row, bytes: plain, present }, this.#ports.pool));
    };
    await Promise.all(rows.map((row) => one(row).catch((error: unknown) => this.#failed(row, error, died))));
    // Others were in the worker's hands when it died: alone it shows which letter does it.
    for (const row of died) {
      const again: LetterRow[] = [];
      await one(row).catch((error: unknown) => this.#failed(row, error, again));
      if (again.length > 0) attempts.push(staying(row, 'poison_record', ''));
    }
    return attempts;
  }

  /** Throws what is not the letter's own fault. */
  #failed(row: LetterRow, error: unknown, died: LetterRow[]): void {
    const { code, message } = toMillraceError(error);
    if (code === 'unprocessable') this.#skip(message, 1);
    else if (code === 'thread_died') died.push(row);
    else throw error;
  }

  /** One insert; why ClickHouse refused it, if it did. */
  async #storeEvents(blocks: readonly Block[]): Promise<string | undefined> {
    try {
      await this.#ports.redrive.insert('logs', blocks);
      return undefined;
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'store_refused') throw error;
      return refusalDetail({ reason: 'insert_refused', detail: error.message });
    }
  }

  #skip(why: string, count: number): void {
    if (count > 0) this.summary.skipped[why] = (this.summary.skipped[why] ?? 0) + count;
  }

  #count({ stays, storedCount, filtered, deadLettered }: Attempt): void {
    const { stayed, records } = this.summary;
    if (stays !== undefined) {
      stayed[stays.reason] = (stayed[stays.reason] ?? 0) + 1;
      return;
    }
    this.summary.moved++;
    records.stored += storedCount;
    records.filtered += total(filtered);
    records.dead_lettered += total(deadLettered);
  }
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** Letters that are read, parsed and stored together. */
function groupsOf(rows: readonly LetterRow[]): LetterRow[][] {
  const groups: LetterRow[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const row of rows) {
    if (bytes + row.bytes > GROUP_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(row);
    bytes += row.bytes;
  }
  return groups;
}

function storedByLane(records: readonly StoredRecord[]): Map<string, StoredRecord[]> {
  const lanes = new Map<string, StoredRecord[]>();
  for (const record of records) {
    const lane = lanes.get(laneName(record)) ?? [];
    lanes.set(laneName(record), lane);
    lane.push(record);
  }
  return lanes;
}

/** The record itself, told by its time too; of a batch whatever lies in its range. */
function presentOf(row: LetterRow, lane: readonly StoredRecord[]): number[] {
  const isBatch = row.content === 'batches';
  const offsets = lane
    .filter(({ offset }) => offset >= row.offset && offset < row.to_offset)
    .filter(({ timeUs }) => isBatch || timeUs === row.record_us)
    .map(({ offset }) => offset);
  return [...new Set(offsets)].toSorted((a, b) => a - b);
}

function staying(row: LetterRow, reason: 'poison_record', detail: string): Attempt {
  const stays = { reason, detail: refusalDetail({ reason, detail }) };
  return { row, logs: [], letters: [], storedCount: 0, filtered: {}, deadLettered: {}, stays };
}

function toMark({ row, stays, storedCount, filtered, deadLettered }: Attempt): RedriveMark {
  const mark = {
    source: row.source,
    partition: row.partition,
    offset: row.offset,
    recordTimeUs: row.record_us,
    content: row.content,
    recordCount: row.record_count,
    firstReason: row.first_reason,
    isMoved: stays === undefined,
  };
  return stays === undefined ? { ...mark, storedCount, filtered, deadLettered } : { ...mark, ...stays };
}
