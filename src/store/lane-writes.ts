/**
 * Waits until what former holders of lanes had under way has ended: inserts, and deletions from rollups. The guard
 * refuses what comes later.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../errors.ts';
import type { LaneKey } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { laneCode, lanesCondition, WRITE_PREFIX } from './lane-guard.ts';

interface Write {
  readonly id: string;
  /** Of a deletion; empty: an insert. */
  readonly mutation: string;
  readonly table: string;
  /** A deletion that failed is tried again and again by the server. */
  readonly isFailing: boolean;
}

const FIRST_POLL_MS = 5;
const MAX_POLL_MS = 200;
/** How long deletions that were ended may take to be gone. */
const KILL_MS = 5000;

/** Writes that run now: queries by owners the lanes ever had, and deletions in the name of one of the lanes. */
async function readWrites(store: Store, lanes: readonly LaneKey[] | undefined): Promise<Write[]> {
  // The lanes of a deletion stand in its guard: see `epochLiteral`.
  const named =
    lanes === undefined
      ? '1'
      : `hasAny(extractAll(command, 'toUInt32\\\\((\\\\d+)\\\\)'), [${lanes.map((lane) => `'${laneCode(lane)}'`).join(', ')}])`;
  return await store.query<Write>(
    `SELECT query_id AS id, '' AS mutation, '' AS table, false AS isFailing FROM system.processes
     WHERE startsWith(query_id, '${WRITE_PREFIX}') AND replaceRegexpOne(query_id, '^${WRITE_PREFIX}(.*)-[^-]*$', '\\\\1')
       IN (SELECT owner FROM lane_claims WHERE ${lanes === undefined ? '1' : lanesCondition(lanes)})
     UNION ALL
     SELECT concat(table, '/', mutation_id) AS id, mutation_id AS mutation, table, latest_fail_reason != '' AS isFailing
     FROM system.mutations
     WHERE database = currentDatabase() AND NOT is_done AND position(command, 'lane_revocations') > 0 AND ${named}`,
  );
}

/** Deletions that cannot succeed would be in the way for ever. What they leave undone, a comparison of rollups finds. */
async function killDeletions(store: Store, writes: readonly Write[]): Promise<void> {
  for (const { table, mutation } of writes) {
    if (mutation === '') continue;
    await store.command(
      `KILL MUTATION WHERE database = currentDatabase() AND table = {table:String} AND mutation_id = {mutation:String}`,
      { table, mutation },
    );
  }
}

/**
 * Waits until the writes have ended that run now by anybody who ever held one of the lanes, or any lane when none are
 * named. Of those whose token is revoked nothing can be stored after this. Deletions that fail, or last longer than
 * `timeoutMs`, are ended; an insert that lasts longer makes it throw `store_unavailable`.
 */
export async function waitForWrites(
  store: Store,
  lanes: readonly LaneKey[] | undefined,
  timeoutMs: number,
): Promise<void> {
  if (lanes?.length === 0) return;
  const deadline = performance.now() + timeoutMs;
  let running = await readWrites(store, lanes);
  let extraMs = 0;
  for (let pollMs = FIRST_POLL_MS; running.length > 0; pollMs = Math.min(MAX_POLL_MS, pollMs * 2)) {
    const lateMs = performance.now() - deadline;
    if (lateMs > 0 && running.some(({ mutation }) => mutation !== '')) extraMs = KILL_MS;
    if (lateMs > extraMs) {
      throw new MillraceError(
        'store_unavailable',
        `Inserts into lanes to be taken did not end within ${timeoutMs} ms.`,
      );
    }
    await killDeletions(store, lateMs > 0 ? running : running.filter(({ isFailing }) => isFailing));
    await sleep(pollMs);
    const still = new Map((await readWrites(store, lanes)).map((write) => [write.id, write]));
    running = running.flatMap(({ id }) => still.get(id) ?? []);
  }
}
