/**
 * A dead letter as the API and the command line show it.
 */
import type { LetterSeal } from '../../encode/letter-seal.ts';
import { encodeEventId } from '../../event/event-id.ts';
import type { LogSource } from '../logs/log-shape.ts';
import { formatTime } from '../time-input.ts';
import type { LetterPosition, LetterRow } from './letter-sql.ts';

export interface ShownLetter {
  readonly id: string;
  readonly reason: string;
  readonly detail: string;
  readonly source: {
    readonly kind: string;
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
  };
  readonly record_time: string;
  readonly stored_at: string;
  /** Records it stands for, and what its bytes are. */
  readonly records: number;
  readonly content: string;
  readonly bytes: number;
  readonly is_sealed: boolean;
  /** Last time it was driven again, in vain. */
  readonly redriven_at: string | null;
}

function letterId({ record_us: timestampUs, source, partition, offset }: LetterRow): string {
  return encodeEventId({ timestampUs, source, partition, offset });
}

export function positionOfLetter(row: LetterRow): LetterPosition {
  const { stored_us: storedUs, source, partition, offset } = row;
  return { storedUs, source, partition, offset };
}

export function toLetter(row: LetterRow, source: LogSource | undefined): ShownLetter {
  const { partition, offset } = row;
  return {
    id: letterId(row),
    reason: row.newest_reason,
    detail: row.newest_detail,
    source: { kind: source?.kind ?? '', topic: source?.topic ?? '', partition, offset },
    record_time: formatTime(row.record_us),
    stored_at: formatTime(row.stored_us),
    records: row.record_count,
    content: row.content === '' ? 'record' : row.content,
    bytes: row.bytes,
    is_sealed: row.content !== '',
    redriven_at: row.attempted_us === 0 ? null : formatTime(row.attempted_us),
  };
}

/** The bytes of a letter from its payload. Throws `unprocessable`, see LetterSeal. */
export function openLetter(row: LetterRow, payload: Uint8Array, seal: LetterSeal): Uint8Array {
  if (row.content === '') return payload;
  const { source, partition, offset, to_offset: toOffset, record_us: recordTimeUs, content } = row;
  return seal.open({ source, partition, offset, toOffset, recordTimeUs, content }, payload);
}
