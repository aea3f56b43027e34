/**
 * A checksum over what was produced that one SQL query computes over what was stored.
 * Each event's fields are joined into one text, hashed with CRC-32 (IEEE 802.3, as in zlib), and the hashes are
 * added modulo 2^64: the sum does not depend on order, and it changes with every loss, repetition or altered field.
 */
import { crc32 } from 'node:zlib';
import type { StoredFields } from './draft.ts';

/** The text that is hashed; `CANONICAL_SQL` makes the same one from a row of table `logs`. */
export function canonicalText(event: StoredFields): string {
  return (
    `${event.seq}|${event.timestampUs}|${event.host}|${event.service}|${event.level}|${event.message}|` +
    `${event.user}|${event.process}|${event.sourceIp}|${event.outcome}|${event.cpuUsage}|` +
    `${event.memoryUsed}|${event.memoryTotal}|${event.memoryPercentage}|` +
    `${event.networkRxBytes}|${event.networkTxBytes}|${event.threats}`
  );
}

/** CRC-32 of the UTF-8 bytes of `canonicalText`. */
export function hashEvent(event: StoredFields): number {
  return crc32(canonicalText(event));
}

const TWO_32 = 0x1_0000_0000;

/** Sum of 32-bit hashes modulo 2^64, without a BigInt per event. */
export class Checksum {
  #low = 0;
  #high = 0;

  add(hash: number): void {
    this.#low += hash;
    if (this.#low >= TWO_32) {
      this.#low -= TWO_32;
      this.#high = (this.#high + 1) % TWO_32;
    }
  }

  /** Decimal digits, as ClickHouse prints a UInt64. */
  toString(): string {
    return ((BigInt(this.#high) << 32n) + BigInt(this.#low)).toString();
  }
}

/** Sequence number of a row: from metadata, or from the end of a syslog message; 0 without one. */
export const SEQ_SQL = String.raw`toUInt64OrZero(if(mapContains(metadata, 'seq'), metadata['seq'], extract(message, ' seq=(\\d+)$')))`;

/** The canonical text of a row that has its number as `seq`. */
export const CANONICAL_SQL = `concatWithSeparator('|',
  toString(seq), toString(toUnixTimestamp64Micro(timestamp)), host, service, level, message, user, process,
  if(source_ip = toIPv6('::'), '', replaceOne(toString(source_ip), '::ffff:', '')), outcome,
  ifNull(toString(cpu_usage), ''), ifNull(toString(memory_used), ''), ifNull(toString(memory_total), ''),
  ifNull(toString(memory_percentage), ''), ifNull(toString(network_rx_bytes), ''),
  ifNull(toString(network_tx_bytes), ''), arrayStringConcat(threats.name, ','))`;

export interface SeqRange {
  readonly firstSeq: number;
  readonly lastSeq: number;
}

/**
 * One row: `events`, `distinct_events`, `checksum` (UInt64) of the stored events with these sequence numbers.
 * `table` is an identifier of the program, never of a user.
 */
export function checksumQuery(range: SeqRange, table = 'logs'): string {
  return `SELECT count() AS events, uniqExact(seq) AS distinct_events, sum(CRC32(canonical)) AS checksum
FROM (
SELECT ${SEQ_SQL} AS seq,
${CANONICAL_SQL} AS canonical
FROM ${table}
WHERE seq BETWEEN ${range.firstSeq} AND ${range.lastSeq})`;
}
