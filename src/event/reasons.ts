/** Closed lists of why a record did not become an event (law 1). */

export const DEAD_LETTER_REASONS = [
  'malformed_json',
  'nested_too_deep',
  'record_too_large',
  'corrupt_batch',
  'unknown_codec',
  'decompression_failed',
  'unsupported_batch',
  'insert_refused',
  'poison_record',
] as const;
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

/** Why a record of a posted body was not taken; `out_of_scope` leaves no letter. */
export type RejectionCode = DeadLetterReason | 'out_of_scope';

export const FILTER_REASONS = ['blank', 'tombstone', 'control'] as const;
export type FilterReason = (typeof FILTER_REASONS)[number];
