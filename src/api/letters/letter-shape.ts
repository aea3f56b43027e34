/**
 * A dead letter as the API and the command line show it.
 */
import { type Static, Type } from 'typebox';
import type { LetterSeal } from '../../encode/letter-seal.ts';
import { encodeEventId } from '../../event/event-id.ts';
import type { LogSource } from '../logs/log-shape.ts';
import { Count, Nullable, Timestamp } from '../openapi/schemas.ts';
import { formatTime } from '../time-input.ts';
import type { LetterPosition, LetterRow } from './letter-sql.ts';

export const Letter = Type.Object(
  {
    id: Type.String(),
    reason: Type.String(),
    detail: Type.String(),
    source: Type.Object({
      kind: Type.String(),
      topic: Type.String(),
      partition: Type.Integer(),
      offset: Type.Integer(),
    }),
    record_time: Timestamp,
    stored_at: Timestamp,
    records: Count('Records it stands for'),
    content: Type.String({ description: 'What its bytes are, such as record or batch' }),
    bytes: Count(),
    is_sealed: Type.Boolean(),
    redriven_at: Nullable(Timestamp),
  },
  { $id: 'DeadLetter' },
);
export type ShownLetter = Static<typeof Letter>;

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
