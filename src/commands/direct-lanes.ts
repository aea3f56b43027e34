/**
 * The lanes of direct sources: a new one for each start, and what has ended starts left behind settled in the background.
 */
import { MillraceError } from '../errors.ts';
import type { Lane } from '../pipeline/lane.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { LaneKey, LaneToken } from '../pipeline/ports.ts';
import { createBlockStore } from '../store/block-store.ts';
import type { Store } from '../store/clickhouse-client.ts';
import { laneCode } from '../store/lane-guard.ts';
import { startSettling } from '../store/settle-lanes.ts';
import { registerSource } from '../store/sources.ts';
import type { Telemetry } from '../telemetry.ts';

export interface DirectLanesOptions {
  readonly store: Store;
  /** Of the claims and of all that is written. */
  readonly owner: string;
  readonly pipeline: Pipeline;
  /** An external ClickHouse: other programs may be alive. */
  readonly isShared: boolean;
}

/** Past every offset (40 bits): a lane that nobody had before holds nothing to read back. */
const NOTHING_STORED = 2 ** 40;

export class DirectLanes {
  readonly #options: DirectLanesOptions;
  /** Codes of those that are open here, or about to be. */
  readonly #own = new Set<number>();
  #settling: { stop(): Promise<void> } | undefined;

  constructor(options: DirectLanesOptions) {
    this.#options = options;
  }

  /** A lane that nobody had before, claimed. One that is lost is settled like those of others. */
  async open(kind: string, onLost: () => void): Promise<Lane> {
    const { store, pipeline } = this.#options;
    const { number: source, partition } = await registerSource(store, { kind, cluster: '', topic: '' });
    const code = laneCode({ source, partition });
    this.#own.add(code);
    try {
      const [standing] = await pipeline.ownership.claim([{ source, partition, fromOffset: NOTHING_STORED }]);
      if (standing === undefined) throw new MillraceError('lane_closed', 'The new lane was taken at once.');
      const lose = (): void => {
        this.#own.delete(code);
        onLost();
      };
      return pipeline.coordinator.openLane(
        { ...standing, name: kind, startOffset: 0, onLost: lose },
        standing,
      );
    } catch (error) {
      this.#own.delete(code);
      throw error;
    }
  }

  startSettling(telemetry: Telemetry): void {
    const { store, owner, pipeline, isShared } = this.#options;
    const { ownership, coordinator } = pipeline;
    // Lanes that keyed bodies take over are in the coordinator alone.
    const isOpen = (lane: LaneKey): boolean =>
      this.#own.has(laneCode(lane)) ||
      [...coordinator.lanes].some(({ spec }) => laneCode(spec) === laneCode(lane));
    const openTokens = (): LaneToken[] => [...coordinator.lanes].map(({ token }) => token);
    const blocks = createBlockStore(store, { owner });
    this.#settling = startSettling({ store, ownership, blocks, isOpen, openTokens, isShared }, telemetry);
  }

  async stop(): Promise<void> {
    await this.#settling?.stop();
  }
}
