/**
 * Ledger rows of which it is not known whether they were written. The stretch is written again, and as the ledger keeps
 * one row per epoch and first offset, it counts once if it has the same epoch: also when its lane was claimed anew
 * meanwhile, by the same holder and on the condition that nobody else had it.
 */
import type { LaneToken, LedgerEntry } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { laneCode } from './lane-guard.ts';

interface Attempt {
  readonly epoch: number;
  readonly fromOffset: number;
}

export class LedgerAttempts {
  readonly #store: Store;
  /** By lane; at most one, since a lane goes on only when its row was acknowledged. */
  readonly #open = new Map<number, Attempt>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** The epochs to write the rows under, in their order. */
  async begin(entries: readonly LedgerEntry[]): Promise<number[]> {
    const epochs: number[] = [];
    for (const entry of entries) {
      const open = this.#open.get(laneCode(entry));
      const isSame = open?.fromOffset === entry.fromOffset && (await this.#isHeldSince(open.epoch, entry));
      epochs.push(isSame ? open.epoch : entry.epoch);
    }
    for (const [i, entry] of entries.entries()) {
      this.#open.set(laneCode(entry), {
        epoch: epochs[i] ?? entry.epoch,
        fromOffset: entry.fromOffset,
      });
    }
    return epochs;
  }

  /** The rows were acknowledged. */
  end(entries: readonly LedgerEntry[]): void {
    for (const entry of entries) this.#open.delete(laneCode(entry));
  }

  /** Whether all claims of the lane since `epoch` continued that, or one that did. */
  async #isHeldSince(epoch: number, { source, partition, epoch: heldEpoch }: LaneToken): Promise<boolean> {
    if (epoch === heldEpoch) return true;
    const [row] = await this.#store.query<{ others: number }>(
      `SELECT countIf(held_epoch < {epoch:UInt64}) AS others FROM lane_claims
       WHERE source = {source:UInt8} AND partition = {partition:UInt16}
         AND epoch > {epoch:UInt64} AND epoch <= {heldEpoch:UInt64}`,
      { source, partition, epoch, heldEpoch },
    );
    return row?.others === 0;
  }
}
