import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { EventSink } from '../../src/commands/event-sink.ts';
import { createAccount, type ProductionOptions, runProduction } from '../../src/commands/produce-loop.ts';
import { Checksum } from '../../src/produce/checksum.ts';
import { createGenerator, type ProducedEvent } from '../../src/produce/generator.ts';

const GENERATOR = { kind: 'mixed', seed: 3, startUs: 1_748_779_200_000_000, rate: 1000 } as const;

class KeepingSink implements EventSink {
  readonly events: ProducedEvent[] = [];
  refusedTopic = '';

  async send(topic: string, events: readonly ProducedEvent[]): Promise<void> {
    await sleep(1);
    if (topic === this.refusedTopic) throw new Error('refused');
    this.events.push(...events);
  }

  async close(): Promise<void> {}
}

function options(sink: EventSink, rest: Partial<ProductionOptions> = {}): ProductionOptions {
  const generator = createGenerator(GENERATOR);
  return { generator, sink, rate: 0, count: 30_000, signal: new AbortController().signal, ...rest };
}

describe('runProduction', () => {
  test('sends each event once and accounts for all of them', async () => {
    const sink = new KeepingSink();
    const account = createAccount();
    await runProduction(options(sink), account);
    expect(sink.events.map(({ seq }) => seq).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 30_000 }, (_, index) => index + 1),
    );
    const checksum = new Checksum();
    for (const { hash } of sink.events) checksum.add(hash);
    expect(account).toMatchObject({ sentCount: 30_000, unconfirmedCount: 0, firstSeq: 1, lastSeq: 30_000 });
    expect(account.checksum.toString()).toBe(checksum.toString());
    const counts = [...account.byTopic.values()].reduce((sum, count) => sum + count, 0);
    expect(counts).toBe(30_000);
    expect(account.byKind.get('logs')).toBe(sink.events.filter(({ kind }) => kind === 'logs').length);
  });

  test('keeps to its rate', async () => {
    const account = createAccount();
    await runProduction(options(new KeepingSink(), { rate: 400, count: 201 }), account);
    // The first event is due at once, the last after half a second; a busy machine may only be late.
    expect(account.elapsedMs).toBeGreaterThan(490);
  });

  test('ends at the signal with what was sent by then', async () => {
    const controller = new AbortController();
    const account = createAccount();
    const onSent = (): void => controller.abort();
    await runProduction(
      options(new KeepingSink(), { rate: 1000, count: Infinity, signal: controller.signal, onSent }),
      account,
    );
    expect(account.sentCount).toBeGreaterThan(0);
    expect(account.lastSeq).toBe(account.sentCount);
  });

  test('tells confirmed from unconfirmed events when the sink fails', async () => {
    const sink = new KeepingSink();
    sink.refusedTopic = 'threat-logs';
    const account = createAccount();
    await expect(runProduction(options(sink), account)).rejects.toThrow('refused');
    expect(account.sentCount).toBe(sink.events.length);
    expect(account.byTopic.has('threat-logs')).toBe(false);
    expect(account.unconfirmedCount).toBeGreaterThan(0);
  });
});
