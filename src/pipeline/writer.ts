/**
 * Joins blocks of one table into large inserts. Knows nothing of Kafka or lanes.
 */
import { type MillraceError, toMillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Health } from './health.ts';
import type { Block } from './parse-protocol.ts';
import type { BlockStore, BlockTable, Clock } from './ports.ts';

export interface WriterOptions {
  readonly table: BlockTable;
  readonly flushRows: number;
  readonly flushBytes: number;
  readonly flushIntervalMs: number;
  /** Inserts under way at once. */
  readonly maxInserts: number;
}

export interface WriterPorts {
  readonly store: BlockStore;
  readonly telemetry: Telemetry;
  readonly health: Health;
  readonly clock: Clock;
  /** True while more blocks may come soon; then a flush waits for size or age. */
  readonly isUpstreamBusy: () => boolean;
}

/** One block on its way. Exactly one of `onStored` and `onRefused` is called, unless it became void. */
export interface WriteRequest {
  readonly block: Block;
  /** True once nobody wants the block stored any more (its lane was closed). */
  readonly isVoid: () => boolean;
  readonly onStored: () => void;
  readonly onRefused: (error: MillraceError) => void;
}

const TICK_MS = 20;
/** ClickHouse refuses an insert that touches more than 100 partitions. */
const MAX_PARTITIONS_PER_INSERT = 90;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;

/**
 * Modes: `open` (blocks wait until rows, bytes or age are reached, or 20 ms after the last one when upstream is
 * idle and no insert was sent for the length of an interval), `held` (nothing is sent; blocks wait, and the credit
 * they hold slows the sources) and `closed` (nothing is accepted; what is void falls away). A retryable failure is
 * tried again for as long as somebody wants the block; a refused insert is bisected by blocks down to the one that
 * ClickHouse does not take.
 */
export class Writer {
  readonly #options: WriterOptions;
  readonly #ports: WriterPorts;
  #pending: WriteRequest[] = [];
  #pendingRowCount = 0;
  #pendingBytes = 0;
  #oldestAtMs = 0;
  #newestAtMs = 0;
  #lastInsertAtMs = 0;
  #runningCount = 0;
  #runningBytes = 0;
  #failingCount = 0;
  #holdReason: string | undefined;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #sleepers = new Set<() => void>();

  constructor(options: WriterOptions, ports: WriterPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** Bytes of blocks that wait or are under way. */
  get heldBytes(): number {
    return this.#pendingBytes + this.#runningBytes;
  }

  get inFlightCount(): number {
    return this.#pending.length + this.#runningCount;
  }

  append(request: WriteRequest): void {
    if (this.#isClosed) return;
    this.#newestAtMs = this.#ports.clock.now();
    if (this.#pending.length === 0) this.#oldestAtMs = this.#newestAtMs;
    this.#pending.push(request);
    this.#pendingRowCount += request.block.rowCount;
    this.#pendingBytes += request.block.bytes.byteLength;
    this.#pump();
  }

  /** Forgets the waiting blocks that nobody wants any more. */
  dropVoid(): void {
    this.#pending = this.#pending.filter((request) => !request.isVoid());
    this.#pendingRowCount = this.#pending.reduce((sum, { block }) => sum + block.rowCount, 0);
    this.#pendingBytes = bytesOf(this.#pending);
  }

  /** Stops sending until `resume`; what is under way is finished. */
  hold(reason: string): void {
    this.#holdReason = reason;
  }

  resume(): void {
    this.#holdReason = undefined;
    this.#pump();
  }

  /** Ends waiting retries; pending blocks are forgotten. Void the lanes first. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pending = [];
    for (const wake of this.#sleepers) wake();
  }

  #pump(): void {
    while (this.#mayStart() && this.#isDue()) this.#start(this.#takeInsert());
    if (this.#pending.length > 0 && this.#timer === undefined && !this.#isClosed) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#pump();
      }, TICK_MS);
    }
  }

  #mayStart(): boolean {
    return (
      !this.#isClosed &&
      this.#pending.length > 0 &&
      this.#holdReason === undefined &&
      this.#runningCount < this.#options.maxInserts
    );
  }

  #isDue(): boolean {
    const { flushRows, flushBytes, flushIntervalMs } = this.#options;
    if (this.#pendingRowCount >= flushRows || this.#pendingBytes >= flushBytes) return true;
    const nowMs = this.#ports.clock.now();
    if (nowMs - this.#oldestAtMs >= flushIntervalMs) return true;
    // An insert costs ClickHouse tens of milliseconds however few its rows are: a lone block goes at once, a trickle
    // of them in the usual interval.
    const isFirstInAWhile = nowMs - this.#lastInsertAtMs >= flushIntervalMs;
    return isFirstInAWhile && nowMs - this.#newestAtMs >= TICK_MS && !this.#ports.isUpstreamBusy();
  }

  /** The oldest blocks that fit into one insert; at least one. */
  #takeInsert(): WriteRequest[] {
    const keys = new Set<number>();
    let rowCount = 0;
    let bytes = 0;
    let count = 0;
    for (const { block } of this.#pending) {
      const newKeyCount = block.partitionKeys.filter((key) => !keys.has(key)).length;
      const isFull =
        rowCount + block.rowCount > this.#options.flushRows ||
        bytes + block.bytes.byteLength > this.#options.flushBytes ||
        keys.size + newKeyCount > MAX_PARTITIONS_PER_INSERT;
      if (count > 0 && isFull) break;
      for (const key of block.partitionKeys) keys.add(key);
      rowCount += block.rowCount;
      bytes += block.bytes.byteLength;
      count++;
    }
    this.#pendingRowCount -= rowCount;
    this.#pendingBytes -= bytes;
    return this.#pending.splice(0, count);
  }

  #start(requests: WriteRequest[]): void {
    this.#runningCount++;
    this.#lastInsertAtMs = this.#ports.clock.now();
    const bytes = bytesOf(requests);
    this.#runningBytes += bytes;
    void this.#insert(requests).finally(() => {
      this.#runningCount--;
      this.#runningBytes -= bytes;
      this.#pump();
    });
  }

  async #insert(requests: readonly WriteRequest[]): Promise<void> {
    const { store, telemetry } = this.#ports;
    const { table } = this.#options;
    let isFailing = false;
    for (let attempt = 0; ; attempt++) {
      const live = this.#isClosed ? [] : requests.filter((request) => !request.isVoid());
      const error = live.length === 0 ? undefined : await attemptInsert(store, table, live);
      if (error === undefined || !error.isRetryable) {
        if (isFailing) this.#endFailure(live.length > 0);
        if (error !== undefined) return await this.#bisect(live, error);
        if (live.length > 0) this.#ports.health.clear('clickhouse_unavailable', table);
        for (const request of live) request.onStored();
        if (live.length > 0) telemetry.emit('insert_done', { table });
        return;
      }
      if (!isFailing) this.#failingCount++;
      isFailing = true;
      this.#ports.health.set('clickhouse_unavailable', error.message, this.#options.table);
      telemetry.emit('insert_retried', { table, attempt, error: error.message });
      await this.#sleep(Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt));
    }
  }

  async #bisect(requests: readonly WriteRequest[], error: MillraceError): Promise<void> {
    this.#ports.telemetry.emit('insert_bisected', { table: this.#options.table, error: error.message });
    const [first, ...rest] = requests;
    if (first === undefined) return;
    if (rest.length === 0) {
      first.onRefused(error);
      return;
    }
    const middle = requests.length >> 1;
    await this.#insert(requests.slice(0, middle));
    await this.#insert(requests.slice(middle));
  }

  /** `isAnswered`: ClickHouse spoke; otherwise only nobody waits any more. */
  #endFailure(isAnswered: boolean): void {
    this.#failingCount--;
    if (this.#failingCount === 0 && isAnswered)
      this.#ports.health.clear('clickhouse_unavailable', this.#options.table);
  }

  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#sleepers.add(wake);
      if (this.#isClosed) wake();
    });
  }
}

function bytesOf(requests: readonly WriteRequest[]): number {
  return requests.reduce((sum, { block }) => sum + block.bytes.byteLength, 0);
}

async function attemptInsert(
  store: BlockStore,
  table: BlockTable,
  requests: readonly WriteRequest[],
): Promise<MillraceError | undefined> {
  try {
    await store.insertBlocks(
      table,
      requests.map((request) => request.block),
      [],
    );
    return undefined;
  } catch (error) {
    return toMillraceError(error);
  }
}
