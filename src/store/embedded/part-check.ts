/**
 * Finds parts that cannot be read, and brings their rows back where that is possible: when the server loads its tables
 * it puts such a part aside, and the parts that it was merged from, which are kept for 8 minutes (`old_parts_lifetime`),
 * take its place again. So the server is restarted.
 */
import { errorMessage } from '../../errors.ts';
import type { Telemetry } from '../../telemetry.ts';
import type { Store } from '../clickhouse-client.ts';

export interface PartCheckOptions {
  readonly store: Store;
  /** Ends the server process; its supervisor starts it again. */
  readonly restart: () => Promise<void>;
  readonly telemetry: Telemetry;
}

interface Part {
  readonly table: string;
  readonly name: string;
}

type Verdict = 'whole' | 'restorable' | 'lost' | 'index';

const MIB = 1024 * 1024;
/** What may have been written between the last look at the disk that was well and this one, with time to spare. */
const LATEST_SECONDS = 60;
const MAX_PARTS = 1000;
const MAX_MET = 100;
const STATEMENT_MS = 5000;
const CHECK_SECONDS = 60;
/** A part is not read over again before. */
const JUDGED_MS = 10 * 60_000;
/** A server that was restarted in vain is not restarted again at once. */
const RESTART_REST_MS = 60_000;
/** The server writes a little when it starts. */
const START_BYTES = 16 * MIB;

/** Modes: `resting`, and `reading over` while parts that somebody met, or the latest, are owed. */
export class PartCheck {
  readonly #options: PartCheckOptions;
  readonly #met = new Set<string>();
  readonly #judgedAt = new Map<string, number>();
  #owesLatest = false;
  #owesRestart = false;
  #isReading = false;
  #restartedAt = Number.NEGATIVE_INFINITY;
  #putAsideCount = 0;

  constructor(options: PartCheckOptions) {
    this.#options = options;
  }

  /** What was written in the last minute is to be read over. */
  oweLatest(): void {
    this.#owesLatest = true;
  }

  /** Somebody could not read this part. */
  met(name: string): void {
    const judgedAt = this.#judgedAt.get(name) ?? Number.NEGATIVE_INFINITY;
    if (this.#met.size < MAX_MET && Date.now() - judgedAt > JUDGED_MS) this.#met.add(name);
  }

  /** Does what is owed: begins to read over, restarts when there is room for it. Reading goes on in the background. */
  async work(freeBytes: number): Promise<void> {
    if (this.#isReading) return;
    if (this.#owesRestart && freeBytes >= START_BYTES && Date.now() - this.#restartedAt > RESTART_REST_MS) {
      this.#owesRestart = false;
      this.#restartedAt = Date.now();
      await this.#options.restart();
    } else if (this.#owesLatest || this.#met.size > 0) {
      this.#isReading = true;
      void this.#readOver()
        .catch((error: unknown) =>
          this.#options.telemetry.emit('part_check_failed', { error: errorMessage(error) }),
        )
        .finally(() => {
          this.#isReading = false;
        });
    }
  }

  /** Tells of parts that the server put aside when it started, once for each number of them. */
  async tellPutAside(): Promise<void> {
    const [found] = await this.#query<{ count: number; names: string[] }>(
      `SELECT toUInt32(count()) AS count, groupArray(5)(concat(table, ' ', name)) AS names FROM system.detached_parts
       WHERE database = currentDatabase() AND startsWith(reason, 'broken')`,
    );
    const { count = 0, names = [] } = found ?? {};
    if (count > this.#putAsideCount)
      this.#options.telemetry.emit('parts_put_aside', { count, names: names.join(', ') });
    this.#putAsideCount = count;
  }

  async #readOver(): Promise<void> {
    const met = [...this.#met];
    const found = await this.#query<Part>(
      `SELECT table, name FROM system.parts WHERE database = currentDatabase() AND active
         AND (has(splitByChar(',', {met:String}), name) OR ({latest:Bool} AND modification_time > now() - ${LATEST_SECONDS}))
       ORDER BY modification_time DESC LIMIT ${MAX_PARTS}`,
      { met: met.join(','), latest: this.#owesLatest },
    );
    this.#owesLatest = false;
    for (const name of met) this.#met.delete(name);
    const verdicts = new Set<Verdict>();
    for (const part of found) verdicts.add(await this.#judge(part));
    this.#forget();
    // A part whose index alone is cut off can be read now, and would be put aside like the others.
    if (verdicts.has('restorable') && !verdicts.has('index')) this.#owesRestart = true;
  }

  async #judge(part: Part): Promise<Verdict> {
    const { telemetry } = this.#options;
    try {
      this.#judgedAt.set(part.name, Date.now());
      const problem = await this.#problemOf(part);
      if (problem === '') return 'whole';
      const hasSources = await this.#hasSources(part);
      telemetry.emit('part_unreadable', { ...part, hasSources, reason: problem });
      if (hasSources) return 'restorable';
      return problem.includes('skp_idx') ? 'index' : 'lost';
    } catch (error) {
      telemetry.emit('part_check_failed', { ...part, error: errorMessage(error) });
      return 'whole';
    }
  }

  /** What is wrong with a part, by its checksums; empty: nothing. */
  async #problemOf({ table, name }: Part): Promise<string> {
    const rows = await this.#options.store.query<{ is_passed: number; message: string }>(
      `CHECK TABLE ${table} PART '${name}'
       SETTINGS check_query_single_value_result = 0, max_execution_time = ${CHECK_SECONDS}`,
      {},
      { signal: AbortSignal.timeout((CHECK_SECONDS + 5) * 1000) },
    );
    const broken = rows.find((row) => row.is_passed === 0);
    return broken === undefined ? '' : broken.message || 'it is not what its checksums say';
  }

  /** Whether the parts that it was merged or mutated from are still there, from the first to the last. */
  async #hasSources({ table, name }: Part): Promise<boolean> {
    const [found] = await this.#query<{ hasSources: number }>(
      `SELECT count() > 0 AND min(source.min_block_number) = any(merged.min_block_number)
          AND max(source.max_block_number) = any(merged.max_block_number) AS hasSources
       FROM system.parts AS source
       INNER JOIN (SELECT * FROM system.parts WHERE database = currentDatabase() AND table = {table:String}
                   AND name = {name:String}) AS merged
         ON source.partition_id = merged.partition_id
       WHERE source.database = currentDatabase() AND source.table = {table:String} AND NOT source.active
         AND (source.level < merged.level OR source.data_version < merged.data_version)
         AND source.min_block_number >= merged.min_block_number
         AND source.max_block_number <= merged.max_block_number`,
      { table, name },
    );
    return Boolean(found?.hasSources);
  }

  #forget(): void {
    for (const [name, at] of this.#judgedAt) if (Date.now() - at > JUDGED_MS) this.#judgedAt.delete(name);
  }

  async #query<Row>(sql: string, params: Readonly<Record<string, unknown>> = {}): Promise<Row[]> {
    return await this.#options.store.query<Row>(sql, params, { signal: AbortSignal.timeout(STATEMENT_MS) });
  }
}
