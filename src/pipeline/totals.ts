/**
 * Counts of law 1 over all lanes since the start of the program; telemetry hears of each chunk.
 */
import type { Telemetry } from '../telemetry.ts';
import type { ChunkOutcome } from './chunk.ts';

export class Totals {
  receivedCount = 0;
  storedCount = 0;
  alreadyPresentCount = 0;
  deadLetteredCount = 0;
  /** Records that took the slow path, each time they were parsed. */
  slowPathCount = 0;
  readonly #telemetry: Telemetry;

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry;
  }

  add(outcome: ChunkOutcome): void {
    const telemetry = this.#telemetry;
    const { receivedCount, storedCount, alreadyPresentCount } = outcome;
    this.receivedCount += receivedCount;
    this.storedCount += storedCount;
    this.alreadyPresentCount += alreadyPresentCount;
    telemetry.emit('records_received', {}, receivedCount);
    telemetry.emit('records_stored', {}, storedCount);
    if (alreadyPresentCount > 0) telemetry.emit('records_already_present', {}, alreadyPresentCount);
    for (const [reason, count] of Object.entries(outcome.filtered))
      telemetry.emit('records_filtered', { reason }, count);
    for (const [reason, count] of Object.entries(outcome.deadLettered)) {
      this.deadLetteredCount += count;
      telemetry.emit('records_dead_lettered', { reason }, count);
    }
  }

  addSlowPath(count: number): void {
    if (count === 0) return;
    this.slowPathCount += count;
    this.#telemetry.emit('slow_path', {}, count);
  }
}
