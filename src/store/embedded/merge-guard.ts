/**
 * Keeps merges off a disk that fills up. The embedded library takes no notice of a write(2) that fails: a merge that
 * finds no room ends as if all were well, with files that are empty, and takes the place of the parts it was made from,
 * which are removed 8 minutes later (`old_parts_lifetime`). So merges stop before the room is gone, which also breaks
 * off those under way; and what was written in the last moments before is read over. A part that cannot be read is put
 * aside when the server loads its tables, and what it was made from takes its place again: so the server is restarted.
 */
import { errorMessage } from '../../errors.ts';
import type { Telemetry } from '../../telemetry.ts';
import type { Store } from '../clickhouse-client.ts';

export interface MergeGuardOptions {
  readonly store: Store;
  /** Ends the server process; its supervisor starts it again. */
  readonly restart: () => Promise<void>;
  readonly telemetry: Telemetry;
}

interface Part {
  readonly table: string;
  readonly name: string;
}

/** Room that must come back, beyond the limit: no flapping at the edge. */
const RECOVERY_FACTOR = 1.05;
/** What may have been written between the last look at the disk that was well and this one, with time to spare. */
const DOUBTFUL_SECONDS = 60;
const MAX_DOUBTFUL_PARTS = 1000;
const STATEMENT_MS = 5000;
const CHECK_MS = 60_000;
/** A server that was restarted in vain is not restarted again at once. */
const REST_MS = 60_000;

/** Modes: `merging` and `stopped`; stopped below the limit, until there is room again. */
export class MergeGuard {
  readonly #options: MergeGuardOptions;
  #isStopped = false;
  #isReading = false;
  #restartedAt = Number.NEGATIVE_INFINITY;

  constructor(options: MergeGuardOptions) {
    this.#options = options;
  }

  /** Told of the room on the disk, about once a second. Rejects when ClickHouse does not do as it is told. */
  async look(freeBytes: number, minFreeBytes: number): Promise<void> {
    if (freeBytes < minFreeBytes) await this.#stop({ freeBytes, minFreeBytes });
    else if (this.#isStopped && freeBytes >= minFreeBytes * RECOVERY_FACTOR) await this.#start(freeBytes);
  }

  /** Somebody could not read this part. */
  met(name: string): void {
    void this.#readOver('name = {name:String}', { name });
  }

  async #stop(fields: { readonly freeBytes: number; readonly minFreeBytes: number }): Promise<void> {
    // At each look: a server that was restarted meanwhile has forgotten it.
    await this.#command('SYSTEM STOP MERGES');
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#options.telemetry.emit('merges_stopped', fields);
    void this.#readOver('modification_time > now() - {seconds:UInt32}', { seconds: DOUBTFUL_SECONDS });
  }

  async #start(freeBytes: number): Promise<void> {
    await this.#command('SYSTEM START MERGES');
    this.#isStopped = false;
    this.#options.telemetry.emit('merges_resumed', { freeBytes });
  }

  async #command(sql: string): Promise<void> {
    await this.#options.store.command(sql, {}, { signal: AbortSignal.timeout(STATEMENT_MS) });
  }

  /** Reads parts from end to end; restarts the server when one that cannot be read has others that can stand in. */
  async #readOver(condition: string, params: Readonly<Record<string, unknown>>): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    const { telemetry, restart } = this.#options;
    try {
      let isRestorable = false;
      for (const part of await this.#parts(condition, params)) {
        const problem = await this.#problemOf(part);
        if (problem === '') continue;
        const hasSources = await this.#hasSources(part);
        telemetry.emit('part_unreadable', { ...part, hasSources, reason: problem });
        isRestorable ||= hasSources;
      }
      if (!isRestorable || Date.now() - this.#restartedAt < REST_MS) return;
      this.#restartedAt = Date.now();
      await restart();
    } catch (error) {
      telemetry.emit('part_check_failed', { error: errorMessage(error) });
    } finally {
      this.#isReading = false;
    }
  }

  async #parts(condition: string, params: Readonly<Record<string, unknown>>): Promise<readonly Part[]> {
    return await this.#options.store.query<Part>(
      `SELECT table, name FROM system.parts WHERE database = currentDatabase() AND active AND ${condition}
       ORDER BY modification_time DESC LIMIT ${MAX_DOUBTFUL_PARTS}`,
      params,
      { signal: AbortSignal.timeout(STATEMENT_MS) },
    );
  }

  /** What is wrong with a part, by its checksums; empty: nothing, or it was merged away meanwhile. */
  async #problemOf({ table, name }: Part): Promise<string> {
    const rows = await this.#options.store.query<{ is_passed: number; message: string }>(
      `CHECK TABLE ${table} PART '${name}' SETTINGS check_query_single_value_result = 0`,
      {},
      { signal: AbortSignal.timeout(CHECK_MS) },
    );
    const broken = rows.find((row) => row.is_passed === 0);
    return broken === undefined ? '' : broken.message || 'it is not what its checksums say';
  }

  /** Whether the parts that it was merged or mutated from are still there, from the first to the last. */
  async #hasSources({ table, name }: Part): Promise<boolean> {
    const [found] = await this.#options.store.query<{ hasSources: number }>(
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
      { signal: AbortSignal.timeout(STATEMENT_MS) },
    );
    return Boolean(found?.hasSources);
  }
}
