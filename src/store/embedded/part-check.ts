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

type Verdict = 'unknown' | 'whole' | 'restorable' | 'lost' | 'index';

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
/** Tries to read a part over that end in an error of their own. */
const MAX_TRIES = 3;
/** The server writes a little when it starts. */
const START_BYTES = 16 * MIB;

/** Modes: `resting`, and `reading over` while parts that somebody met, or the latest, are owed. */
export class PartCheck {
  readonly #options: PartCheckOptions;
  readonly #met = new Set<string>();
  readonly #judgedAt = new Map<string, number>();
  readonly #tries = new Map<string, number>();
  readonly #restorable = new Map<string, Part>();
  readonly #indexOnly = new Map<string, Part>();
  #owesLatest = false;
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
    if (this.#met.size < MAX_MET && !this.#isJudged(name)) this.#met.add(name);
  }

  /** Does what is owed: begins to read over, restarts when there is room for it. Reading goes on in the background. */
  async work(freeBytes: number): Promise<void> {
    if (this.#isReading) return;
    const mayRestart = freeBytes >= START_BYTES && Date.now() - this.#restartedAt > RESTART_REST_MS;
    if (this.#restorable.size > 0 && mayRestart && (await this.#isRestartWorth())) {
      this.#restorable.clear();
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
    const owesLatest = this.#owesLatest;
    const found = await this.#query<Part>(
      `SELECT table, name FROM system.parts WHERE database = currentDatabase() AND active
         AND (has(splitByChar(',', {met:String}), name) OR ({latest:Bool} AND modification_time > now() - ${LATEST_SECONDS}))
       ORDER BY modification_time DESC LIMIT ${MAX_PARTS}`,
      { met: met.join(','), latest: owesLatest },
    );
    this.#owesLatest = false;
    for (const name of met) this.#met.delete(name);
    for (const part of found) {
      if (this.#isJudged(part.name)) continue;
      const verdict = await this.#judge(part);
      if (verdict === 'index') this.#indexOnly.set(part.name, part);
      if (verdict !== 'restorable') continue;
      // Its sources are not kept for long: the others are read over after the restart.
      this.#restorable.set(part.name, part);
      this.#owesLatest = owesLatest;
      break;
    }
    this.#forget();
  }

  /**
   * Some part still has its sources, and no part would be put aside that can be read now: one whose index alone is cut
   * off, until its partition is written anew.
   */
  async #isRestartWorth(): Promise<boolean> {
    for (const part of this.#restorable.values())
      if (!(await this.#hasSources(part))) this.#restorable.delete(part.name);
    if (this.#restorable.size === 0) return false;
    const active = await this.#query<{ name: string }>(
      `SELECT name FROM system.parts WHERE database = currentDatabase() AND active
         AND has(splitByChar(',', {names:String}), name)`,
      { names: [...this.#indexOnly.keys()].join(',') },
    );
    const names = new Set(active.map(({ name }) => name));
    for (const name of this.#indexOnly.keys()) if (!names.has(name)) this.#indexOnly.delete(name);
    return this.#indexOnly.size === 0;
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
      const tries = (this.#tries.get(part.name) ?? 0) + 1;
      if (tries < MAX_TRIES) {
        this.#tries.set(part.name, tries);
        this.#judgedAt.delete(part.name);
        this.#met.add(part.name);
      }
      return 'unknown';
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

  #isJudged(name: string): boolean {
    return Date.now() - (this.#judgedAt.get(name) ?? Number.NEGATIVE_INFINITY) <= JUDGED_MS;
  }

  #forget(): void {
    for (const [name, at] of this.#judgedAt) {
      if (Date.now() - at <= JUDGED_MS) continue;
      this.#judgedAt.delete(name);
      this.#tries.delete(name);
    }
  }

  async #query<Row>(sql: string, params: Readonly<Record<string, unknown>> = {}): Promise<Row[]> {
    return await this.#options.store.query<Row>(sql, params, { signal: AbortSignal.timeout(STATEMENT_MS) });
  }
}
