/** What the coordinator does with lanes that close, workers that die and offsets that are gone; its ports by hand. */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/pipeline/arena.ts';
import { Coordinator } from '../../src/pipeline/coordinator.ts';
import { Health } from '../../src/pipeline/health.ts';
import { KafkaLanes } from '../../src/pipeline/kafka-lanes.ts';
import type { Lane } from '../../src/pipeline/lane.ts';
import type { ParsePool } from '../../src/pipeline/parse-pool.ts';
import type { ParseResult, ParseTask } from '../../src/pipeline/parse-protocol.ts';
import type { BlockStore, Delivery, LaneOwnership } from '../../src/pipeline/ports.ts';
import { NOTHING_PRESENT } from '../../src/pipeline/present.ts';
import { Writer } from '../../src/pipeline/writer.ts';
import { RecordingTelemetry } from '../support/clickhouse.ts';
import { until } from '../support/until.ts';

const clock = { now: () => Date.now(), steady: () => performance.now() };
const BLOCK_BYTES = 1000;
const PAGES = 64;

function resultOf({ firstOffset, endOffset }: ParseTask): ParseResult {
  const count = endOffset - firstOffset;
  return {
    reachedOffset: endOffset,
    logs: [{ bytes: new ArrayBuffer(BLOCK_BYTES), rowCount: count, partitionKeys: [1] }],
    deadLetters: [],
    receivedCount: count,
    alreadyPresentCount: 0,
    filtered: {},
    deadLettered: {},
    deadLetterOffsets: new Float64Array(),
    deadLetterNotes: [],
    slowPathCount: 0,
    maxTimestampUs: 0,
  };
}

interface Hands {
  readonly insertBlocks?: BlockStore['insertBlocks'];
  readonly parse?: (task: ParseTask) => Promise<ParseResult>;
  readonly claim?: LaneOwnership['claim'];
}

function rig({ insertBlocks, parse, claim }: Hands) {
  const arena = new Arena(PAGES * 65_536);
  const telemetry = new RecordingTelemetry();
  const tasks: ParseTask[] = [];
  const take = (task: ParseTask): Promise<ParseResult> => {
    tasks.push(task);
    return parse === undefined ? Promise.resolve(resultOf(task)) : parse(task);
  };
  const pool: ParsePool = {
    workerCount: 1,
    parse: take,
    parseAlone: take,
    frame: () => Promise.reject(new Error('not asked for')),
    trim: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
  const store: BlockStore = {
    insertBlocks: insertBlocks ?? (() => Promise.resolve()),
    insertLedger: () => Promise.resolve(),
  };
  const ports = { store, telemetry, clock, isUpstreamBusy: () => false };
  const limits = { flushRows: 100_000, flushBytes: 1e9, flushIntervalMs: 10, maxInserts: 1 };
  const ownership: LaneOwnership = { claim: claim ?? (() => new Promise(() => undefined)) };
  const coordinator = new Coordinator({
    arena,
    pool,
    ownership,
    telemetry,
    clock,
    health: new Health(clock),
    maxBlockBytes: 1.5 * BLOCK_BYTES,
    writers: {
      logs: new Writer({ ...limits, table: 'logs' }, ports),
      dead_letters: new Writer({ ...limits, table: 'dead_letters' }, ports),
    },
  });
  const lanes = new KafkaLanes({
    arena,
    coordinator,
    telemetry,
    health: new Health(clock),
    clock,
    ownership,
    sourceNumber: () => Promise.resolve(1),
    rejoin: () => undefined,
  });
  const open = (source: number): Lane =>
    coordinator.openLane(
      { source, partition: 0, name: `lane-${source}`, epoch: 1, startOffset: 0 },
      { present: NOTHING_PRESENT },
    );
  const submit = (lane: Lane, fromOffset: number, toOffset: number): void => {
    const stretch = arena.tryTake(100);
    if (stretch === undefined) throw new Error('the arena is full');
    coordinator.submit(lane, { stretch, fromOffset, toOffset, receivedUs: 0 });
  };
  return { arena, coordinator, lanes, tasks, open, submit };
}

function deliveryAt(fetchOffset: number, more: Partial<Delivery>): Delivery {
  const batches = [{ bytes: new Uint8Array(100), baseOffset: fetchOffset, lastOffset: fetchOffset }];
  return {
    topic: 't',
    partition: 0,
    epoch: 1,
    fetchOffset,
    highWatermark: fetchOffset + 1,
    batches,
    ...more,
  };
}

const heartbeat = (): Promise<void> => Promise.resolve();

describe('a lane that closes', () => {
  it('makes room for chunks of others that waited behind its blocks', async () => {
    let endInsert: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      endInsert = resolve;
    });
    const { coordinator, tasks, open, submit } = rig({ insertBlocks: () => held });
    const [first, second] = [open(1), open(2)];
    for (let offset = 0; offset < 4; offset++) submit(first, offset, offset + 1);
    await delay(50);
    submit(second, 0, 1);
    submit(second, 1, 2);
    await delay(20);
    coordinator.closeLane(first);
    endInsert();
    const isParsed = () => tasks.filter(({ source }) => source === 2).length === 2;
    expect(isParsed()).toBe(false);
    await until(isParsed, { timeoutMs: 5000 });
  });

  it('keeps the memory of a chunk that a worker has in hand, however often it is closed', async () => {
    let finish: () => void = () => undefined;
    let count = 0;
    const { arena, coordinator, open, submit } = rig({
      insertBlocks: () => new Promise(() => undefined),
      parse: (task) => {
        count++;
        if (count === 1) return Promise.resolve({ ...resultOf(task), reachedOffset: 5 });
        return new Promise((resolve) => {
          finish = () => resolve(resultOf(task));
        });
      },
    });
    const lane = open(1);
    submit(lane, 0, 10);
    await until(() => count === 2);
    coordinator.loseLane(lane);
    coordinator.closeLane(lane);
    expect(arena.usedBytes).toBeGreaterThan(0);
    finish();
    await until(() => arena.usedBytes === 0);
  });
});

describe('a record that ends every worker, also without being read', () => {
  it('is tried again with pauses, and other lanes go on', async () => {
    const { tasks, open, submit } = rig({
      parse: (task) => (task.source === 1 ? Promise.reject(new Error('x')) : Promise.resolve(resultOf(task))),
    });
    submit(open(1), 0, 1);
    await delay(300);
    submit(open(2), 0, 1);
    await until(() => tasks.some(({ source }) => source === 2));
    expect(tasks.filter(({ source }) => source === 1).length).toBeLessThan(10);
  });
});

describe('a lane of which much is stored', () => {
  it('is read back page by page: it is claimed again when it has come to the end of a page', async () => {
    const asked: (number | undefined)[] = [];
    const { coordinator, tasks, submit } = rig({
      claim: ([request]) => {
        asked.push(request?.fromOffset);
        const from = request?.fromOffset ?? 0;
        const presentTo = from < 20 ? { presentTo: from + 10 } : {};
        return Promise.resolve([
          { source: 1, partition: 0, epoch: 2, present: NOTHING_PRESENT, ...presentTo },
        ]);
      },
    });
    const lane = coordinator.openLane(
      { source: 1, partition: 0, name: 'paged', epoch: 1, startOffset: 0 },
      { present: NOTHING_PRESENT, presentTo: 10 },
    );
    for (let offset = 0; offset < 40; offset += 5) submit(lane, offset, offset + 5);
    await until(() => lane.storedOffset === 40, { timeoutMs: 10_000 });
    expect(asked).toEqual([10, 20]);
    const parsed = tasks.map(({ firstOffset }) => firstOffset);
    expect(parsed).toEqual([0, 5, 10, 15, 20, 25, 30, 35]);
  });
});

describe('offsets that Kafka had deleted', () => {
  const rows = {
    offsets: Float64Array.from({ length: 200 }, (_, i) => 1000 + i),
    times: new Float64Array(200),
  };
  const standing = { source: 1, partition: 0, epoch: 7, ledgerOffset: 1000 };
  const assigned = [{ topic: 't', partition: 0, topicId: 'x' }];

  it('are lost, but for those that were stored before', async () => {
    const present = { ...NOTHING_PRESENT, logs: rows };
    const { lanes } = rig({ claim: () => Promise.resolve([{ ...standing, present }]) });
    await lanes.onAssigned(1, assigned);
    await lanes.onDelivery(deliveryAt(5000, { lostFromOffset: 1000 }), heartbeat);
    const [lane] = lanes.lanes;
    expect(lane?.ledgerEntry()).toMatchObject({
      fromOffset: 1000,
      receivedCount: 200,
      alreadyPresentCount: 200,
      lostUpstreamCount: 3800,
    });
  });

  it('are named also when the group has forgotten its commits and begins at what is left', async () => {
    const { lanes } = rig({ claim: () => Promise.resolve([{ ...standing, present: NOTHING_PRESENT }]) });
    await lanes.onAssigned(1, assigned);
    await lanes.onDelivery(deliveryAt(5000, { logStartOffset: 5000 }), heartbeat);
    const [lane] = lanes.lanes;
    expect(lane?.ledgerEntry()).toMatchObject({ fromOffset: 1000, lostUpstreamCount: 4000 });
  });

  it('are none where a group goes on behind control batches', async () => {
    const { lanes } = rig({ claim: () => Promise.resolve([{ ...standing, present: NOTHING_PRESENT }]) });
    await lanes.onAssigned(1, assigned);
    await lanes.onDelivery(deliveryAt(1003, { logStartOffset: 0 }), heartbeat);
    const [lane] = lanes.lanes;
    expect(lane?.total.lostUpstreamCount).toBe(0);
  });
});
