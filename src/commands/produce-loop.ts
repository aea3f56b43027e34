/**
 * Drives a generator at a rate into a sink and keeps the account: events per kind and topic, and the checksum,
 * of what the receiver acknowledged.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Checksum } from '../produce/checksum.ts';
import type { Generator, ProducedEvent } from '../produce/generator.ts';
import type { EventSink } from './event-sink.ts';

export interface ProductionOptions {
  readonly generator: Generator;
  readonly sink: EventSink;
  /** Events per second; 0: as fast as the sink takes them. */
  readonly rate: number;
  /** Events in all; Infinity until stopped. */
  readonly count: number;
  readonly signal: AbortSignal;
  readonly onSent?: (count: number) => void;
}

export interface ProductionAccount {
  sentCount: number;
  /** Handed to the sink without an answer: they may or may not have arrived. */
  unconfirmedCount: number;
  readonly byKind: Map<string, number>;
  readonly byTopic: Map<string, number>;
  readonly checksum: Checksum;
  firstSeq: number;
  lastSeq: number;
  elapsedMs: number;
}

const MAX_BATCH = 5000;
/** Batches under way at full speed: the next is made while the last is on its way. */
const MAX_UNDER_WAY = 3;
/** What falls due in it is sent together: a batch for one event would cost as much as one for fifty. */
const TICK_MS = 20;

export function createAccount(): ProductionAccount {
  return {
    sentCount: 0,
    unconfirmedCount: 0,
    byKind: new Map(),
    byTopic: new Map(),
    checksum: new Checksum(),
    firstSeq: 0,
    lastSeq: 0,
    elapsedMs: 0,
  };
}

/**
 * Sends until `count` or the signal, then waits for what is under way. Fills `account`, which is right as far as it
 * goes when a failing sink makes this throw.
 */
export async function runProduction(options: ProductionOptions, account: ProductionAccount): Promise<void> {
  const { rate, count, signal } = options;
  const startMs = performance.now();
  const underWay = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let madeCount = 0;
  while (madeCount < count && !signal.aborted && failures.length === 0) {
    const dueCount = rate === 0 ? count : Math.floor(((performance.now() - startMs) / 1000) * rate) + 1;
    const size = Math.min(MAX_BATCH, count - madeCount, dueCount - madeCount);
    if (size <= 0) {
      await sleep(TICK_MS);
      continue;
    }
    madeCount += size;
    const sending = sendBatch(takeBatch(options.generator, size), options, account)
      .catch((error: unknown) => {
        failures.push(error);
      })
      .finally(() => underWay.delete(sending));
    underWay.add(sending);
    if (underWay.size >= MAX_UNDER_WAY) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  account.elapsedMs = performance.now() - startMs;
  if (failures.length > 0) throw failures[0];
}

function takeBatch(generator: Generator, size: number): Map<string, ProducedEvent[]> {
  const byTopic = new Map<string, ProducedEvent[]>();
  for (let i = 0; i < size; i++) {
    const event = generator.next();
    const events = byTopic.get(event.topic);
    if (events === undefined) byTopic.set(event.topic, [event]);
    else events.push(event);
  }
  return byTopic;
}

async function sendBatch(
  byTopic: ReadonlyMap<string, readonly ProducedEvent[]>,
  { sink, onSent }: ProductionOptions,
  account: ProductionAccount,
): Promise<void> {
  const sends = [...byTopic].map(async ([topic, events]) => {
    account.unconfirmedCount += events.length;
    await sink.send(topic, events);
    account.unconfirmedCount -= events.length;
    enter(account, topic, events);
    onSent?.(events.length);
  });
  // All of them are waited for: the account must be final, and nothing under way, before the sink is closed.
  const outcomes = await Promise.allSettled(sends);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

function enter(account: ProductionAccount, topic: string, events: readonly ProducedEvent[]): void {
  account.sentCount += events.length;
  account.byTopic.set(topic, (account.byTopic.get(topic) ?? 0) + events.length);
  for (const { kind, seq, hash } of events) {
    account.byKind.set(kind, (account.byKind.get(kind) ?? 0) + 1);
    account.checksum.add(hash);
    if (account.firstSeq === 0 || seq < account.firstSeq) account.firstSeq = seq;
    if (seq > account.lastSeq) account.lastSeq = seq;
  }
}
