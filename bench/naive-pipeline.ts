/**
 * The baseline of bench/end-to-end.ts: what one writes on the first day. kafkajs `eachMessage`, `JSON.parse`,
 * and JSONEachRow inserts of the same size into the same table. A process of its own, so that its CPU can be read.
 * Settings by environment: BROKERS, TOPICS, CLICKHOUSE (JSON: url, database, headers), BATCH_ROWS.
 */
import { createClient } from '@clickhouse/client';
import { Kafka, logLevel } from 'kafkajs';

interface Connection {
  readonly url: string;
  readonly database: string;
  readonly headers?: Record<string, string>;
}

const SYSLOG = /^<\d+>(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+) ([^:[]+)(?:\[(\d+)\])?: (.*)$/;
const FLUSH_INTERVAL_MS = 250;

const connection = JSON.parse(process.env['CLICKHOUSE'] ?? '{}') as Connection;
const batchRows = Number(process.env['BATCH_ROWS'] ?? 100_000);
const client = createClient({
  url: connection.url,
  database: connection.database,
  http_headers: connection.headers ?? {},
});
const kafka = new Kafka({ brokers: (process.env['BROKERS'] ?? '').split(','), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({
  groupId: process.env['GROUP'] ?? 'naive',
  maxBytesPerPartition: 4 << 20,
  maxBytes: 16 << 20,
  minBytes: 64 << 10,
  maxWaitTimeInMs: 100,
});

type Row = Record<string, unknown>;
let rows: Row[] = [];
let flushing: Promise<void> = Promise.resolve();

async function flush(): Promise<void> {
  const values = rows;
  rows = [];
  if (values.length === 0) return;
  await client.insert({
    table: 'logs',
    values,
    format: 'JSONEachRow',
    clickhouse_settings: { async_insert: 0, date_time_input_format: 'best_effort' },
  });
}

/** A record as a row: the fields of the four shapes, syslog lines by a regular expression. */
function toRow(text: string, recordTimeMs: number): Row {
  if (!text.startsWith('{')) {
    const match = SYSLOG.exec(text);
    if (match === null) return { timestamp: new Date(recordTimeMs).toISOString(), message: text };
    const [, time, host, process_, pid, message] = match;
    const date = new Date(`${time} ${new Date(recordTimeMs).getUTCFullYear()} UTC`);
    return {
      timestamp: date.toISOString(),
      host,
      service: process_,
      process: process_,
      pid: Number(pid ?? 0),
      message,
    };
  }
  const event = JSON.parse(text) as Row;
  const memory = event['memory_usage'] as Row | undefined;
  const network = event['network'] as Row | undefined;
  const metadata = (event['metadata'] ?? {}) as Row;
  return {
    timestamp: event['timestamp'],
    host: event['host'] ?? metadata['host'],
    service: event['service'],
    environment: metadata['environment'],
    level: event['level'],
    message: event['message'],
    user: event['user'],
    process: event['process'],
    pid: event['pid'],
    source_ip: event['source_ip'],
    outcome: event['outcome'],
    cpu_usage: event['cpu_usage'],
    memory_used: memory?.['used'],
    memory_total: memory?.['total'],
    memory_percentage: memory?.['percentage'],
    network_rx_bytes: network?.['rx_bytes'],
    network_tx_bytes: network?.['tx_bytes'],
    threats: event['threats'],
    metadata: Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, String(value)])),
  };
}

await consumer.connect();
await consumer.subscribe({ topics: (process.env['TOPICS'] ?? 'logs').split(','), fromBeginning: true });
setInterval(() => {
  flushing = flushing.then(flush);
}, FLUSH_INTERVAL_MS);
await consumer.run({
  eachMessage: async ({ partition, message }) => {
    const recordTimeMs = Number(message.timestamp);
    const row = toRow(message.value?.toString() ?? '', recordTimeMs);
    row['ingested_at'] = new Date(recordTimeMs).toISOString();
    row['partition'] = partition;
    row['offset'] = message.offset;
    row['retention_days'] = 30;
    rows.push(row);
    if (rows.length >= batchRows) {
      flushing = flushing.then(flush);
      await flushing;
    }
  },
});
