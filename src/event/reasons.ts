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

export const FILTER_REASONS = ['blank', 'tombstone', 'control'] as const;
export type FilterReason = (typeof FILTER_REASONS)[number];
