/**
 * Tells of records that Kafka had deleted before they were read: once, although the source states a stretch again in
 * each epoch until an offset behind it is committed.
 */
import type { AssignedPartition, Delivery } from '../pipeline/ports.ts';
import type { Telemetry } from '../telemetry.ts';

/** Holds one number per partition that lost something. */
export class LossReport {
  readonly #telemetry: Telemetry;
  readonly #toldTo = new Map<string, number>();

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry;
  }

  tell(
    { topic, partition, fetchOffset, lostFromOffset }: Delivery,
    topicId: AssignedPartition['topicId'],
  ): void {
    if (lostFromOffset === undefined) return;
    const key = `${topic}/${topicId}/${partition}`;
    const toldTo = this.#toldTo.get(key) ?? 0;
    if (lostFromOffset < fetchOffset && fetchOffset <= toldTo) return;
    this.#toldTo.set(key, fetchOffset);
    const fromOffset = fetchOffset > lostFromOffset ? Math.max(lostFromOffset, toldTo) : lostFromOffset;
    // An end below the begin: the log was cut off at its end, and how much was lost cannot be known.
    const lostCount = Math.max(0, fetchOffset - fromOffset);
    this.#telemetry.emit(
      'records_lost_upstream',
      { topic, partition, fromOffset, toOffset: fetchOffset },
      lostCount,
    );
  }
}
