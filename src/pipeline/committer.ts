/**
 * Turns stored offsets into committed ones: first a ledger row in ClickHouse, then the commit to Kafka.
 */
import { errorMessage, type MillraceError, toMillraceError } from '../errors.ts';
import { failpoint, isSabotaged } from '../failpoints.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Coordinator } from './coordinator.ts';
import type { Health } from './health.ts';
import type { Lane } from './lane.ts';
import type { BlockStore, KafkaSource, LedgerEntry, OffsetCommit } from './ports.ts';

export interface CommitterPorts {
  readonly coordinator: Coordinator;
  readonly store: Pick<BlockStore, 'insertLedger'>;
  readonly health: Health;
  readonly telemetry: Telemetry;
  /** The Kafka source with its current lanes and epoch; absent without Kafka. */
  readonly kafka?:
    | {
        readonly source: Pick<KafkaSource, 'commit'>;
        readonly lanes: () => Iterable<Lane>;
        readonly epoch: () => number;
      }
    | undefined;
}

const COMMIT_INTERVAL_MS = 1000;

/**
 * Modes: `running` (a round every second) and `stopped`. Neither ledger rows nor Kafka commits overlap with their own
 * kind; what failed is made up by the next round. A commit may hang for as long as its group rebalances: the ledger
 * does not wait for it.
 */
export class Committer {
  readonly #ports: CommitterPorts;
  readonly #kafkaOffsets = new WeakMap<Lane, number>();
  #timer: NodeJS.Timeout | undefined;
  #ledger: Promise<boolean> = Promise.resolve(true);
  #waitingCount = 0;
  #kafkaCommit: Promise<boolean> | undefined;

  constructor(ports: CommitterPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (this.#waitingCount === 0) void this.#round();
    }, COMMIT_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** True when nothing stored is without its ledger row: the next owner goes on behind it, whatever Kafka knows. */
  get isLedgered(): boolean {
    for (const lane of this.#ports.coordinator.lanes)
      if (lane.committedOffset !== lane.storedOffset) return false;
    return true;
  }

  /** One write after those under way; never rejects. False: it failed, and health says so. */
  writeLedger(): Promise<boolean> {
    this.#waitingCount++;
    this.#ledger = this.#ledger.then(async () => {
      const isWritten = await this.#try(() => this.#writeDue());
      this.#waitingCount--;
      return isWritten;
    });
    return this.#ledger;
  }

  /** Commits what is in the ledger, after a commit under way; one attempt, which never rejects. */
  async commitKafka(): Promise<void> {
    await this.#kafkaCommit;
    await this.#commitOnce();
  }

  async #round(): Promise<void> {
    if ((await this.writeLedger()) && (await this.#commitOnce())) this.#ports.health.clear('commit_failed');
  }

  /** Joins the commit under way, if there is one. */
  #commitOnce(): Promise<boolean> {
    this.#kafkaCommit ??= this.#try(() => this.#commitBehind()).finally(() => {
      this.#kafkaCommit = undefined;
    });
    return this.#kafkaCommit;
  }

  async #try(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#ports.health.set('commit_failed', errorMessage(error));
      this.#ports.telemetry.emit('commit_failed', { error: errorMessage(error) });
      return false;
    }
  }

  async #writeDue(): Promise<void> {
    const due: { readonly lane: Lane; readonly entry: LedgerEntry }[] = [];
    for (const lane of this.#ports.coordinator.lanes) {
      // A doubtful lane is about to have another token.
      const entry = lane.isDoubtful ? undefined : lane.ledgerEntry();
      if (entry !== undefined) due.push({ lane, entry });
    }
    if (due.length === 0) return;
    await failpoint('commit_before');
    try {
      if (!isSabotaged('skip_ledger')) {
        await this.#ports.store.insertLedger(due.map(({ entry }) => entry));
      }
    } catch (error) {
      return this.#ledgerRefused(due, toMillraceError(error));
    }
    for (const { lane, entry } of due) lane.committed(entry);
    this.#ports.coordinator.dispatch();
  }

  /**
   * One of the tokens is revoked: by this process, which has claimed that lane anew meanwhile, or by another; which of
   * the rest it is, they find out by claiming. The next round makes up for it.
   */
  #ledgerRefused(
    due: readonly { readonly lane: Lane; readonly entry: LedgerEntry }[],
    error: MillraceError,
  ): void {
    if (error.code !== 'lane_closed') throw error;
    for (const { lane, entry } of due) {
      if (lane.token.epoch === entry.epoch) this.#ports.coordinator.doubt(lane, error, true);
    }
  }

  #isBehind(lane: Lane): boolean {
    return (
      committableOffset(lane) >
      (this.#kafkaOffsets.get(lane) ?? lane.spec.sourceOffset ?? lane.spec.startOffset)
    );
  }

  async #commitBehind(): Promise<void> {
    const { kafka, telemetry } = this.#ports;
    if (kafka === undefined) return;
    const epoch = kafka.epoch();
    const lanes: Lane[] = [];
    for (const lane of kafka.lanes()) if (this.#isBehind(lane)) lanes.push(lane);
    if (lanes.length === 0) return;
    const offsets = lanes.map(
      (lane): OffsetCommit => ({
        topic: lane.spec.name,
        partition: lane.spec.partition,
        offset: committableOffset(lane),
      }),
    );
    await failpoint('commit_between');
    await kafka.source.commit(epoch, offsets);
    for (const [i, lane] of lanes.entries()) this.#kafkaOffsets.set(lane, offsets[i]?.offset ?? 0);
    telemetry.emit('offsets_committed', { laneCount: lanes.length });
  }
}

function committableOffset(lane: Lane): number {
  return isSabotaged('commit_before_ack') ? lane.takenOffset : lane.committedOffset;
}
