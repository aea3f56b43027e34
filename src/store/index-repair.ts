/**
 * Skip indexes that cannot be read. A merge that finds the disk full may leave a part behind whose rows are whole and
 * whose index is cut off (seen with the embedded ClickHouse, chdb 3.4). Whoever needs that index fails from then on,
 * and the next start of ClickHouse puts the part aside, rows and all. So the store reads without skip indexes then,
 * and the partition is written anew while that can be done: a merge computes its indexes from the rows.
 */
import type { Telemetry } from '../telemetry.ts';
import type { Store } from './clickhouse-client.ts';

/** `20261121-30_1_6_1/data.cmrk4` or `(while reading from part …/20261121-30_1_6_1/ in table …`: the part's name. */
const PART_NAME = /([^/\s]+_\d+_\d+_\d+(?:_\d+)?)\/[\w.]*/;

/** Codes with which ClickHouse says that what is in a file is not what ought to be (src/Common/ErrorCodes.cpp). */
const UNREADABLE = new Set([
  '33', // CANNOT_READ_ALL_DATA
  '40', // CHECKSUM_DOESNT_MATCH
  '246', // CORRUPTED_DATA
  '271', // CANNOT_DECOMPRESS
]);

export interface UnreadablePart {
  /** Its name; undefined when ClickHouse did not say it. */
  readonly part: string | undefined;
  /** It is a skip index that cannot be read: the rows can, without it. */
  readonly isIndex: boolean;
}

/** What an answer of ClickHouse says of a part that it cannot read; undefined for every other error. */
export function toUnreadablePart(error: unknown): UnreadablePart | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as { code?: unknown };
  if (typeof code !== 'string' || !UNREADABLE.has(code)) return undefined;
  return { part: PART_NAME.exec(error.message)?.[1], isIndex: error.message.includes('skp_idx') };
}

/** After an attempt: what failed for want of room, or goes on at the server, is not begun again at once. */
const PAUSE_MS = 60_000;

/**
 * From now on an unreadable index that the store meets is told, and its partition written anew, one at a time. A part
 * that cannot be read at all is handed to `restore`.
 */
export function repairParts(store: Store, telemetry: Telemetry, restore: (part: string) => void): void {
  let isResting = false;
  store.onUnreadablePart = ({ part, isIndex }) => {
    if (!isIndex) {
      if (part !== undefined) restore(part);
      return;
    }
    if (isResting) return;
    isResting = true;
    const fields = { part: part ?? '' };
    telemetry.emit('index_unreadable', fields);
    rewritePartition(store, part)
      .catch((error: unknown) => telemetry.emit('index_repair_failed', { ...fields, error: String(error) }))
      .finally(() => {
        setTimeout(() => {
          isResting = false;
        }, PAUSE_MS).unref();
      });
  };
}

/** Does nothing when the part is gone, or its partition is being merged right now. */
async function rewritePartition(store: Store, part: string | undefined): Promise<void> {
  if (part === undefined) return;
  const [found] = await store.query<{ table: string; partition: string }>(
    `SELECT table, partition_id AS partition FROM system.parts
     WHERE database = currentDatabase() AND active AND name = {part:String}
       AND table IN (SELECT table FROM system.data_skipping_indices WHERE database = currentDatabase())
       AND (table, partition_id) NOT IN
         (SELECT table, partition_id FROM system.merges WHERE database = currentDatabase())`,
    { part },
  );
  if (found === undefined) return;
  await store.command(`OPTIMIZE TABLE ${found.table} PARTITION ID {partition:String} FINAL`, {
    partition: found.partition,
  });
}
