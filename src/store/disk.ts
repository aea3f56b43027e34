/** Room that ClickHouse has left, asked of ClickHouse itself: it may run on another machine. */
import type { Store } from './clickhouse-client.ts';

/** Free bytes on the disks that hold the tables. Rejects after `timeoutMs`: a server that hangs must not hang who asks. */
export async function readFreeDiskBytes(store: Store, timeoutMs = 5000): Promise<number> {
  const [row] = await store.query<{ free: number }>(
    `SELECT sum(least(free_space, unreserved_space)) AS free FROM system.disks
     WHERE name IN (
       SELECT arrayJoin(disks) FROM system.storage_policies WHERE policy_name IN (
         SELECT storage_policy FROM system.tables WHERE database = currentDatabase() AND name = 'logs'))`,
    {},
    { signal: AbortSignal.timeout(timeoutMs) },
  );
  return row?.free ?? 0;
}
