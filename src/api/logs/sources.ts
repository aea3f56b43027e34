/**
 * What the source numbers in table `logs` stand for, remembered until a number comes up that is not known.
 */
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { LogSource } from './log-shape.ts';

interface SourceRow {
  readonly number: number;
  readonly kind: string;
  readonly topic: string;
}

const SELECT_SOURCES = `
SELECT number, argMax(s.kind, s.generation) AS kind, argMax(s.topic, s.generation) AS topic
FROM sources AS s GROUP BY number`;
/** A number that stays unknown is asked for this often. */
const RELOAD_MS = 5000;

export class SourceNames {
  readonly #store: QueryPort;
  readonly #now: () => number;
  #byNumber: ReadonlyMap<number, LogSource> = new Map();
  #loadedMs = Number.NEGATIVE_INFINITY;

  constructor(store: QueryPort, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** The sources, loaded anew when one of `numbers` is missing. */
  async resolve(numbers: Iterable<number>): Promise<ReadonlyMap<number, LogSource>> {
    const isMissing = [...numbers].some((number) => !this.#byNumber.has(number));
    if (isMissing && this.#now() - this.#loadedMs >= RELOAD_MS) {
      const rows = await this.#store.query<SourceRow>(SELECT_SOURCES);
      this.#byNumber = new Map(rows.map(({ number, kind, topic }) => [number, { kind, topic }]));
      this.#loadedMs = this.#now();
    }
    return this.#byNumber;
  }
}
