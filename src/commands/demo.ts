/**
 * `up --demo`: a day of made-up events, stored once through the same pipeline as posted ones, and then a trickle of
 * new ones.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { toIngestKey } from '../api/ingest/idempotency-key.ts';
import { UNSCOPED } from '../api/scope.ts';
import { ERROR_KINDS, MillraceError } from '../errors.ts';
import type { IngestOutcome, IngestPort } from '../pipeline/ingest-port.ts';
import { createDemoDay, type DemoDay, liveDemoOptions } from '../produce/demo-day.ts';
import { createGenerator, type ProducedEvent } from '../produce/generator.ts';
import type { Store } from '../store/clickhouse-client.ts';
import { type DemoMarker, readDemoMarker, writeDemoMarker } from './demo-marker.ts';
import { startProgress } from './progress.ts';

export interface DemoOptions {
  readonly ingest: IngestPort;
  readonly store: Store;
  readonly dataDir: string;
  /** About how many events the day has; a day that was begun stays as it is. */
  readonly events: number;
  /** Ends the work early; the next start goes on with it. */
  readonly signal: AbortSignal;
  readonly isSilent: boolean;
}

const SEED = 2026;
const BATCH_EVENTS = 5000;
/** Batches under way: storage joins what comes together. */
const MAX_UNDER_WAY = 6;
const MAX_ATTEMPTS = 60;
const RETRY_MS = 500;
/** Keys are remembered for a day; well before that is over, what was begun can no longer be told from what was not. */
const MAX_RESUME_MS = 20 * 3_600_000;
const LIVE_EVENTS_PER_SECOND = 20;
const LIVE_TICK_MS = 1000;
/** A clock that jumps, or a computer that slept, must not make up for it. */
const MAX_LIVE_BATCH = 5 * LIVE_EVENTS_PER_SECOND;

/**
 * Stores what is missing of the day. Throws `usage` when there are data that are no demo, and what the pipeline
 * refuses.
 */
export async function seedDemo(options: DemoOptions): Promise<DemoDay> {
  const { store, dataDir, signal } = options;
  const marker = (await readDemoMarker(dataDir)) ?? (await beginDemo(options));
  const day = createDemoDay(marker);
  if (marker.isComplete) return day;
  if (Date.now() - marker.endMs > MAX_RESUME_MS) {
    throw new MillraceError(
      'usage',
      `The demo in ${dataDir} was begun long ago and never finished: start it on an empty DATA_DIR.`,
    );
  }
  const isWhole = await storeDay(day, marker, options);
  if (!isWhole || signal.aborted) return day;
  await checkStored(store, day);
  await writeDemoMarker(dataDir, { ...marker, isComplete: true });
  return day;
}

/** New events at a bounded rate until the signal; what is refused meanwhile is left out. Never rejects. */
export async function runLiveDemo(ingest: IngestPort, signal: AbortSignal): Promise<void> {
  const rate = LIVE_EVENTS_PER_SECOND;
  while (!signal.aborted) {
    const startMs = Date.now();
    const generator = createGenerator(liveDemoOptions(SEED, startMs, rate));
    for (let madeCount = 0; !signal.aborted; ) {
      await sleep(LIVE_TICK_MS, undefined, { signal }).catch(() => undefined);
      const dueCount = Math.floor(((Date.now() - startMs) * rate) / 1000) - madeCount;
      if (signal.aborted || dueCount < 0 || dueCount > MAX_LIVE_BATCH) break;
      const events = Array.from({ length: dueCount }, () => generator.next());
      madeCount += dueCount;
      await Promise.all(bodiesOf(events).map(({ format, text }) => ingest.submit(encode(text), format)));
    }
  }
}

async function beginDemo({ store, dataDir, events }: DemoOptions): Promise<DemoMarker> {
  const found = await store.query('SELECT 1 FROM logs LIMIT 1');
  if (found.length > 0) {
    throw new MillraceError(
      'usage',
      '--demo is for an empty store: there are events already, and no demo made them. Use another DATA_DIR.',
    );
  }
  const marker = { seed: SEED, endMs: Date.now(), events, isComplete: false };
  await writeDemoMarker(dataDir, marker);
  return marker;
}

/** False: told to stop before the end. */
async function storeDay(day: DemoDay, { endMs }: DemoMarker, options: DemoOptions): Promise<boolean> {
  const { signal, isSilent } = options;
  const progress = startProgress({ unit: 'demo events', total: day.eventCount, isSilent });
  const underWay = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let number = 0;
  try {
    for (const batch of batchesOf(day.events())) {
      if (signal.aborted || failures.length > 0) break;
      const name = `demo-${endMs}-${number++}`;
      const storing = storeBatch(batch, name, options)
        .then(() => progress.add(batch.length))
        .catch((error: unknown) => {
          failures.push(error);
        })
        .finally(() => underWay.delete(storing));
      underWay.add(storing);
      if (underWay.size >= MAX_UNDER_WAY) await Promise.race(underWay);
    }
    await Promise.all(underWay);
  } finally {
    progress.finish();
  }
  if (signal.aborted) return false;
  if (failures.length > 0) throw failures[0];
  return true;
}

function* batchesOf(events: Iterable<ProducedEvent>): IterableIterator<readonly ProducedEvent[]> {
  let batch: ProducedEvent[] = [];
  for (const event of events) {
    batch.push(event);
    if (batch.length < BATCH_EVENTS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

interface Body {
  readonly format: 'ndjson' | 'text';
  readonly text: string;
  readonly eventCount: number;
}

function bodiesOf(events: readonly ProducedEvent[]): Body[] {
  return (['ndjson', 'text'] as const).flatMap((format) => {
    const lines = events.filter(({ isText }) => isText === (format === 'text')).map(({ value }) => value);
    return lines.length === 0 ? [] : [{ format, text: `${lines.join('\n')}\n`, eventCount: lines.length }];
  });
}

async function storeBatch(
  events: readonly ProducedEvent[],
  name: string,
  options: DemoOptions,
): Promise<void> {
  await Promise.all(bodiesOf(events).map((body) => storeBody(body, `${name}-${body.format}`, options)));
}

/** The key makes it once, however often a start is killed and repeated. */
async function storeBody({ format, text, eventCount }: Body, name: string, options: DemoOptions) {
  const { ingest, signal } = options;
  for (let attempt = 1; ; attempt += 1) {
    const body = encode(text);
    // No user has this name.
    const key = toIngestKey(name, { username: '', body, format, scope: UNSCOPED });
    const outcome = await ingest.submit(body, format, { key });
    if (outcome.kind === 'stored' && outcome.acceptedCount === eventCount) return;
    const isWorthIt = outcome.kind === 'failed' && ERROR_KINDS[outcome.code].isRetryable;
    if (!isWorthIt || attempt >= MAX_ATTEMPTS || signal.aborted) throw refusalOf(outcome, eventCount);
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}

function refusalOf(outcome: IngestOutcome, eventCount: number): MillraceError {
  if (outcome.kind === 'failed') {
    return new MillraceError(outcome.code, `Cannot store the demo: ${outcome.message}`);
  }
  const { acceptedCount } = outcome;
  return new MillraceError('internal', `Of ${eventCount} demo events ${acceptedCount} were accepted.`);
}

/** That the account is right shows here, before anybody draws it. */
async function checkStored(store: Store, { eventCount }: DemoDay): Promise<void> {
  const [row] = await store.query<{ total: number }>('SELECT count() AS total FROM logs');
  if (row !== undefined && row.total >= eventCount) return;
  throw new MillraceError('internal', `Of ${eventCount} demo events ${row?.total ?? 0} are stored.`);
}

function encode(text: string): ArrayBuffer {
  return new TextEncoder().encode(text).buffer;
}
