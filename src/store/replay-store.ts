/**
 * The store's side of a replay, from beginning to end: one at a time on a database, beside no other that writes settled
 * rows, and what an earlier one left unfinished comes first.
 */
import type { ChunkStore, LaneRange, ReplayMode } from '../replay/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Store } from './clickhouse-client.ts';
import { createChunkStore } from './replay-chunks.ts';
import { repairTouched } from './replay-fence.ts';
import { decideReplacement, finishReplacement } from './replay-swap.ts';
import { createReplayTables, dropReplayTables, isFilled, readLeftover } from './replay-tables.ts';
import { type SettledTurn, withSettledTurn } from './settled-rows.ts';

export interface ReplayScope {
  readonly mode: ReplayMode;
  readonly ranges: readonly LaneRange[];
  /** Told when a stage begins that has no progress of its own. */
  readonly onStage: (stage: ReplayStage) => void;
  readonly telemetry?: Telemetry | undefined;
}

export type ReplayStage = 'finishing_earlier' | 'replacing' | 'repairing';

/**
 * Runs `work`, which hands all chunks of the ranges to the store, and with `replace` puts what it staged in the place of
 * what is stored. When anything fails, the tables are as they were, or the next replay finishes what was decided.
 */
export async function withReplayStore<T>(
  store: Store,
  scope: ReplayScope,
  work: (chunks: ChunkStore) => Promise<T>,
): Promise<T> {
  return await withSettledTurn(store, async (turn) => {
    await finishEarlier(store, turn, scope);
    await createReplayTables(turn);
    const result = await work(createChunkStore(store, turn, scope.mode));
    if (scope.mode === 'replace') {
      scope.onStage('replacing');
      await decideReplacement(turn, scope.ranges);
      await finishReplacement(store, turn, scope);
    } else if (await isFilled(store, 'replay_touched')) {
      scope.onStage('repairing');
      await repairTouched(store, scope.telemetry);
    }
    await dropReplayTables(turn);
    return result;
  });
}

/** What a replay or redrive that was cut off has decided or touched. */
export async function finishEarlier(
  store: Store,
  turn: SettledTurn,
  { onStage, telemetry }: Partial<Pick<ReplayScope, 'onStage' | 'telemetry'>>,
): Promise<void> {
  const { ranges, hasTouchedMinutes } = await readLeftover(store);
  if (ranges.length > 0 || hasTouchedMinutes) onStage?.('finishing_earlier');
  if (ranges.length > 0) await finishReplacement(store, turn, { ranges, telemetry });
  else if (hasTouchedMinutes) await repairTouched(store, telemetry);
  await dropReplayTables(turn);
}
