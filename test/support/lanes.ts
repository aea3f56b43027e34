/** Rows of lanes for tests of ownership, and a way to stop an insert in the middle of its body. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Block } from '../../src/pipeline/parse-protocol.ts';
import type { LaneKey } from '../../src/pipeline/ports.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';

export interface LaneRows extends LaneKey {
  readonly fromOffset: number;
  readonly count: number;
  /** Length of every message; default 1. */
  readonly messageLength?: number;
  /** ISO time of the first event; default 2026-03-01T10:00:00Z. Each next one is a second later. */
  readonly at?: string;
}

/** Record time of an offset in microseconds: unlike that of the events, and of every other offset. */
export const recordTime = (offset: number): number => 1_767_225_600_000_000 + offset * 1009;

const FIRST_EVENT = '2026-03-01T10:00:00Z';

/** Rows with host metrics, encoded by ClickHouse itself; most columns of the table are left out. */
export async function laneBlock(store: Store, rows: LaneRows): Promise<Block> {
  const { source, partition, fromOffset, count, messageLength = 1, at = FIRST_EVENT } = rows;
  const bytes = await store.selectBytes(
    `SELECT toDateTime64(toUnixTimestamp(parseDateTimeBestEffort('${at}')) + number, 6, 'UTC') AS timestamp,
       fromUnixTimestamp64Micro(toInt64(${recordTime(0)} + (${fromOffset} + number) * 1009), 'UTC') AS ingested_at,
       toUInt8(${source}) AS source, toUInt16(${partition}) AS partition, toUInt64(${fromOffset} + number) AS offset,
       toUInt16(30) AS retention_days, toLowCardinality(concat('host-', toString(number % 3))) AS host,
       toLowCardinality('api') AS service, toLowCardinality('info') AS level,
       randomPrintableASCII(${messageLength}) AS message,
       toNullable(toFloat64((${fromOffset} + number) % 97)) AS cpu_usage,
       toNullable(toUInt64(1000 + number)) AS network_rx_bytes
     FROM numbers(${count}) SETTINGS max_block_size = ${count} FORMAT Native`,
  );
  return { bytes: Uint8Array.from(bytes).buffer, rowCount: count, partitionKeys: [] };
}

/** One dead letter for each offset. */
export async function letterBlock(store: Store, lane: LaneKey, offsets: readonly number[]): Promise<Block> {
  const bytes = await store.selectBytes(
    `SELECT toUInt8(${lane.source}) AS source, toUInt16(${lane.partition}) AS partition, arrayJoin([${offsets.join(',')}])::UInt64 AS offset,
       fromUnixTimestamp64Micro(toInt64(${recordTime(0)} + offset * 1009), 'UTC') AS record_time,
       toLowCardinality('invalid_json') AS reason, 'bad' AS detail, 'bytes' AS payload FORMAT Native`,
  );
  return { bytes: Uint8Array.from(bytes).buffer, rowCount: offsets.length, partitionKeys: [] };
}

export interface HoldingProxy {
  readonly url: string;
  /** Bytes that came from clients so far. */
  readonly received: () => number;
  /** Lets everything through from now on. */
  release(): void;
  stop(): Promise<void>;
}

/** Passes the first `limit` bytes of each connection on to the server, and holds the rest back until `release`. */
export async function startHoldingProxy(serverUrl: string, limit: number): Promise<HoldingProxy> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  const waiting: (() => void)[] = [];
  let isHolding = true;
  let receivedBytes = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let passed = 0;
    let held: Buffer[] = [];
    client.on('data', (chunk) => {
      receivedBytes += chunk.length;
      const room = isHolding ? Math.max(0, limit - passed) : chunk.length;
      upstream.write(chunk.subarray(0, room));
      passed += Math.min(room, chunk.length);
      if (room < chunk.length) held.push(chunk.subarray(room));
    });
    waiting.push(() => {
      for (const chunk of held) upstream.write(chunk);
      held = [];
    });
    upstream.pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => (socket === client ? upstream : client).destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received: () => receivedBytes,
    release() {
      isHolding = false;
      for (const pass of waiting) pass();
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
