/**
 * The change of a `replace`, once all that it needs is staged: partition by partition, what is stored of the stretch
 * goes and what was staged comes, in one atomic step each; then letters; then rollups. Every step may be done again, so
 * whoever finds a decided replacement unfinished does all of them.
 */
import { type ErrorCode, MillraceError } from '../errors.ts';
import { failpoint } from '../failpoints.ts';
import type { LaneRange } from '../replay/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Store } from './clickhouse-client.ts';
import { FENCE_EXPIRY_MS, type Fence, withFence } from './replay-fence.ts';
import { markBack, markLeft } from './replay-marks.ts';
import { isFilled, rangesCondition } from './replay-tables.ts';
import { BLOCK_COLUMNS, type SettledTurn } from './settled-rows.ts';

/** Writes down what is to be done; the last row to be written decides that it will be. */
export async function decideReplacement(turn: SettledTurn, ranges: readonly LaneRange[]): Promise<void> {
  for (const from of [`logs WHERE ${rangesCondition(ranges)}`, 'replay_logs']) {
    await turn.copy(
      'replay_touched',
      `SELECT DISTINCT source, partition, toStartOfMinute(timestamp) FROM ${from}`,
    );
  }
  // Integers only: nothing to escape.
  const rows = ranges.map(
    ({ source, partition, fromOffset, toOffset }) => `(${source}, ${partition}, ${fromOffset}, ${toOffset})`,
  );
  await turn.copy(
    'replay_ranges',
    `SELECT tupleElement(row, 1), tupleElement(row, 2), tupleElement(row, 3), tupleElement(row, 4)
     FROM (SELECT arrayJoin([${rows.join(', ')}]) AS row)`,
  );
}

export interface DecidedReplacement {
  readonly ranges: readonly LaneRange[];
  readonly telemetry?: Telemetry | undefined;
}

/** Carries out what was decided, while no lane can be written. */
export async function finishReplacement(
  store: Store,
  turn: SettledTurn,
  { ranges, telemetry }: DecidedReplacement,
): Promise<void> {
  await withFence(store, async (fence) => {
    await failpoint('replay_decided');
    for (const id of await affectedPartitions(store, ranges)) {
      await swapPartition(store, { id, ranges, fence, turn });
      await failpoint('replay_swapped');
    }
    await moveLetters(store, turn);
    await fence.repairTouched(telemetry);
  });
}

/** Ids of partitions, those that get rows first: a row that moves to another day is never in neither of them. */
async function affectedPartitions(store: Store, ranges: readonly LaneRange[]): Promise<string[]> {
  const rows = await store.query<{ id: string }>(
    `SELECT id FROM (
       SELECT DISTINCT _partition_id AS id, 1 AS isFilled FROM replay_logs
       UNION ALL SELECT DISTINCT _partition_id AS id, 0 AS isFilled FROM logs WHERE ${rangesCondition(ranges)})
     GROUP BY id ORDER BY max(isFilled) DESC, id`,
  );
  return rows.map(({ id }) => id);
}

interface PartitionSwap {
  readonly id: string;
  readonly ranges: readonly LaneRange[];
  readonly fence: Fence;
  readonly turn: SettledTurn;
}

/** Attaching links files, and deleting rewrites only the parts that hold rows of the stretch. */
async function swapPartition(store: Store, { id, ranges, fence, turn }: PartitionSwap): Promise<void> {
  const partition = `PARTITION ID '${checkedId(id)}'`;
  await turn.command('TRUNCATE TABLE replay_swap');
  await turn.command(`ALTER TABLE replay_swap ATTACH ${partition} FROM logs`);
  await turn.command(`ALTER TABLE replay_swap DELETE WHERE ${rangesCondition(ranges)}`);
  await turn.command(`ALTER TABLE replay_swap ATTACH ${partition} FROM replay_logs`);
  const isEmpty = !(await isFilled(store, 'replay_swap'));
  const since = new Date().toISOString();
  // ClickHouse refuses to replace by nothing.
  await turn.command(
    isEmpty ? `ALTER TABLE logs DROP ${partition}` : `ALTER TABLE logs REPLACE ${partition} FROM replay_swap`,
    fence.check,
  );
  try {
    await fence.check();
  } catch (error) {
    throw isOfCode(error, 'lane_closed') ? overtaken(id, since) : error;
  }
}

function isOfCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof MillraceError && error.code === code;
}

/** The one gap that no statement closes: this program stood still between its last look and the replacement. */
function overtaken(id: string, since: string): MillraceError {
  return new MillraceError(
    'lane_closed',
    `Partition ${id} of logs was replaced after this program had stood still for more than ${FENCE_EXPIRY_MS / 1000} s ` +
      `and another one had taken a lane: what was stored there since ${since} may be gone although the ledger counts ` +
      'it. Run this replay again, which finishes it; then `millrace replay --mode missing` for all topics from before ' +
      'that time on. What direct sources sent since then must be sent again.',
  );
}

/** `20260131-30`, as ClickHouse makes them of day and retention. */
function checkedId(id: string): string {
  if (/^[\d-]+$/.test(id)) return id;
  throw new MillraceError('internal', `Table logs has a partition with the id ${JSON.stringify(id)}.`);
}

async function moveLetters(store: Store, turn: SettledTurn): Promise<void> {
  const key = 'source, partition, offset, record_time';
  // The marks first: they are made of what is staged alone, and show a letter that is one again.
  await markLeft(turn);
  await markBack(turn, 'replay_back_letters');
  if (await isFilled(store, 'replay_left_letters')) {
    await turn.command(
      `ALTER TABLE dead_letters DELETE WHERE (${key})
         IN (SELECT ${key} FROM ${store.database}.replay_left_letters)`,
    );
  }
  const letters = BLOCK_COLUMNS.dead_letters;
  await turn.copy(
    `dead_letters (${letters})`,
    `SELECT ${letters} FROM replay_letters
     WHERE (${key}) NOT IN (SELECT ${key} FROM dead_letters
       WHERE (source, partition, offset) IN (SELECT source, partition, offset FROM replay_letters))`,
  );
}
