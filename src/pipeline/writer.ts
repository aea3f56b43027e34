/**
 * Joins blocks of one table into large inserts. Knows nothing of Kafka or lanes.
 */
import { type MillraceError, toMillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Block } from './parse-protocol.ts';
import type { BlockStore, BlockTable, Clock, LaneToken } from './ports.ts';

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
  readonly clock: Clock;
  /** True while more blocks may come soon; then a flush waits for size or age. */
  readonly isUpstreamBusy: () => boolean;
}

/** One block on its way. Exactly one of `onStored` and `onFailed` is called, unless it became void before it was sent. */
export interface WriteRequest {
  readonly block: Block;
  /** Whose block it is; compared by identity. */
  readonly owner: object;
  /** The owner's right to write. */
  readonly token: LaneToken;
  /** Not to be joined with other blocks: one of several was refused. */
  readonly isAlone: boolean;
  /** True once nobody wants the block stored any more. */
  readonly isVoid: () => boolean;
  readonly onStored: () => void;
  /** Whether the rows were stored is not known. */
  readonly onFailed: (error: MillraceError) => void;
}

const TICK_MS = 20;
/** ClickHouse refuses an insert that touches more than 100 partitions. */
const MAX_PARTITIONS_PER_INSERT = 90;

/**
 * Modes: `open` (blocks wait until rows, bytes or age are reached, or 20 ms after the last one when upstream is
 * idle and no insert was sent for the length of an interval), `held` (nothing is sent; blocks wait, and the credit
 * they hold slows the sources) and `closed` (nothing is accepted; what is void falls away). Each insert is tried once:
 * one that failed may have been stored, so its owners must find out before anything of it is sent again.
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
  readonly #running = new Set<readonly WriteRequest[]>();
  #runningBytes = 0;
  #holdReason: string | undefined;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WriterOptions, ports: WriterPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** Bytes of blocks that wait or are under way. */
  get heldBytes(): number {
    return this.#pendingBytes + this.#runningBytes;
  }

  get inFlightCount(): number {
    return this.#pending.length + this.#running.size;
  }

  /** Whether an insert with blocks of `owner` is under way. */
  isSending(owner: object): boolean {
    return [...this.#running].some((requests) => requests.some((request) => request.owner === owner));
  }

  append(request: WriteRequest): void {
    if (this.#isClosed) return;
    this.#newestAtMs = this.#ports.clock.steady();
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

  /** Pending blocks are forgotten. Void the lanes first. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pending = [];
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
      this.#running.size < this.#options.maxInserts
    );
  }

  #isDue(): boolean {
    const { flushRows, flushBytes, flushIntervalMs } = this.#options;
    if (this.#pendingRowCount >= flushRows || this.#pendingBytes >= flushBytes) return true;
    const nowMs = this.#ports.clock.steady();
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
    for (const { block, isAlone } of this.#pending) {
      if (count > 0 && (isAlone || this.#pending[0]?.isAlone === true)) break;
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

  #start(requests: readonly WriteRequest[]): void {
    this.#lastInsertAtMs = this.#ports.clock.steady();
    this.#running.add(requests);
    this.#runningBytes += bytesOf(requests);
    void this.#send(requests);
  }

  async #send(requests: readonly WriteRequest[]): Promise<void> {
    const error = await this.#insert(requests);
    this.#running.delete(requests);
    this.#runningBytes -= bytesOf(requests);
    for (const request of requests) {
      if (error === undefined) request.onStored();
      else request.onFailed(error);
    }
    this.#pump();
  }

  async #insert(requests: readonly WriteRequest[]): Promise<MillraceError | undefined> {
    const { store, telemetry } = this.#ports;
    const { table } = this.#options;
    const blocks = requests.map(({ block }) => block);
    try {
      await store.insertBlocks(table, blocks, distinctTokens(requests));
      telemetry.emit('insert_done', { table });
      return undefined;
    } catch (error) {
      const failure = toMillraceError(error);
      telemetry.emit('insert_failed', { table, error: failure.message });
      return failure;
    }
  }
}

function bytesOf(requests: readonly WriteRequest[]): number {
  return requests.reduce((sum, { block }) => sum + block.bytes.byteLength, 0);
}

function distinctTokens(requests: readonly WriteRequest[]): LaneToken[] {
  const tokens = new Map<object, LaneToken>();
  for (const { owner, token } of requests) tokens.set(owner, token);
  return [...tokens.values()];
}
