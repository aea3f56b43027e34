/**
 * What became of one record: an event in the row, or the reason why not.
 * Shared by the parsers of JSON objects and of text lines.
 */
import type { DeadLetterReason, FilterReason } from '../event/reasons.ts';

export type ParseOutcome = 'event' | FilterReason | DeadLetterReason;
