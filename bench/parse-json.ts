/**
 * Bytes of JSON events → Native columns, per kind of event: scan and encode, apart and together, against
 * `JSON.parse` of the same bytes in the same run. Batches of 1,000 seeded events.
 * Run against the build: npx tsc -p tsconfig.build.json && node dist/bench/parse-json.js [--json]
 */
import { availableParallelism, cpus } from 'node:os';
import { Bench } from 'tinybench';
import { EventBlock } from '../src/encode/event-block.ts';
import { JsonParser } from '../src/parse/json/parse-json.ts';
import { createGenerator } from '../src/produce/generator.ts';

const EVENT_COUNT = 1000;
const START_US = 1_714_566_896_000_000;
const SCOPE = { source: 1, partition: 0, retentionDays: 30, retentionClass: 0 };

interface Sample {
  readonly name: string;
  /** The records one after the other, as in a decompressed record batch. */
  readonly bytes: Uint8Array;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

function sampleOf(name: string, texts: readonly string[]): Sample {
  const starts: number[] = [];
  const ends: number[] = [];
  const parts: Buffer[] = [];
  let at = 0;
  for (const text of texts) {
    const part = Buffer.from(text);
    parts.push(part);
    starts.push(at);
    at += part.length;
    ends.push(at);
  }
  // Shared memory, as what the workers get from the arena.
  const bytes = new Uint8Array(new SharedArrayBuffer(at));
  bytes.set(Buffer.concat(parts));
  return { name, bytes, starts, ends };
}

/** The event of 258 bytes that docs and earlier measurements speak of. */
function typicalEvents(): string[] {
  const levels = ['info', 'info', 'info', 'warn', 'error', 'debug'];
  const services = ['checkout', 'payment-api', 'inventory', 'gateway'];
  return Array.from({ length: EVENT_COUNT }, (_, index) => {
    const time = new Date(START_US / 1000 + index).toISOString();
    const order = 100_000 + index * 7;
    const event = {
      timestamp: time,
      level: levels[index % levels.length],
      service: services[index % services.length],
      message: `order ${order} accepted for customer ${index * 31} after ${index % 400} ms in queue`,
      metadata: {
        host: `web-${String(index % 20).padStart(2, '0')}`,
        environment: 'production',
        region: 'eu-central-1',
        request_id: `req-${order}`,
        seq: index,
      },
    };
    return JSON.stringify(event).padEnd(258);
  });
}

function generatedEvents(kind: 'logs' | 'system-metrics' | 'threat-logs' | 'security-events'): string[] {
  const generator = createGenerator({ kind, seed: 7, startUs: START_US, rate: 1000 });
  const texts: string[] = [];
  while (texts.length < EVENT_COUNT) {
    const event = generator.next();
    if (!event.isText) texts.push(event.value);
  }
  return texts;
}

const samples = [
  sampleOf('typical log', typicalEvents()),
  ...(['logs', 'system-metrics', 'threat-logs', 'security-events'] as const).map((kind) =>
    sampleOf(kind, generatedEvents(kind)),
  ),
];

const block = new EventBlock();
const parser = new JsonParser(block);
const range = { start: 0, end: 0 };

function scanAll({ bytes, starts, ends }: Sample): void {
  block.reset(SCOPE);
  for (let index = 0; index < EVENT_COUNT; index += 1) {
    block.beginRow(index, START_US + 3_600_000_000);
    range.start = starts[index] ?? 0;
    range.end = ends[index] ?? 0;
    if (parser.parse(bytes, range) !== 'event') throw new Error('a sample could not be parsed');
    block.commitRow();
  }
}

function parseAll({ bytes, starts, ends }: Sample): void {
  const buffer = Buffer.from(bytes.buffer);
  for (let index = 0; index < EVENT_COUNT; index += 1) {
    JSON.parse(buffer.toString('utf8', starts[index], ends[index]));
  }
}

const bench = new Bench({ time: 1000, warmupTime: 500 });
for (const sample of samples) {
  bench.add(`${sample.name}: scan`, () => scanAll(sample));
  // The rows of the scan before stay in the block, so this measures the encoding alone.
  bench.add(`${sample.name}: encode`, () => void block.finish());
  bench.add(`${sample.name}: scan and encode`, () => {
    scanAll(sample);
    block.finish();
  });
  bench.add(`${sample.name}: JSON.parse`, () => parseAll(sample));
}

function microseconds(task: string): number {
  const result = bench.getTask(task)?.result;
  if (result === undefined || !('latency' in result)) return NaN;
  return (result.latency.p50 * 1000) / EVENT_COUNT;
}

await bench.run();
console.log(`Node ${process.version}, ${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores`);
const rows = samples.map((sample) => {
  const total = microseconds(`${sample.name}: scan and encode`);
  const baseline = microseconds(`${sample.name}: JSON.parse`);
  return {
    events: sample.name,
    bytes: Math.round(sample.bytes.length / EVENT_COUNT),
    'scan µs': microseconds(`${sample.name}: scan`).toFixed(3),
    'encode µs': microseconds(`${sample.name}: encode`).toFixed(3),
    'both µs': total.toFixed(3),
    'JSON.parse µs': baseline.toFixed(3),
    ratio: (total / baseline).toFixed(2),
  };
});
console.table(rows);
console.log(`slow path: ${parser.slowPathCount} records`);
