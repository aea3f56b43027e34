/**
 * CRC32C (Castagnoli) of a byte range, the checksum of Kafka record batches.
 * The only file that knows the native library; it reads views of shared memory as they are.
 */
import { crc32c } from '@node-rs/crc32';

/** CRC32C of `bytes[start, end)` as an unsigned 32-bit number. */
export function crc32cOf(bytes: Uint8Array, start: number, end: number): number {
  return crc32c(bytes.subarray(start, end));
}
