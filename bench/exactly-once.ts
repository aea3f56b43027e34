/**
 * What exactly once costs: the same events end to end with and without the guard in every insert, the ledger and the
 * read-back, alternating in one run, medians of CPU-seconds.
 *
 *   node dist/bench/exactly-once.js [--events 1000000] [--rounds 5]
 */
import { parseArgs } from 'node:util';
import { startBroker } from '../test/support/kafka-broker.ts';
import { produceEvents, type Run, runMillrace, summarize } from './support/pipeline-run.ts';
import { saveResult } from './support/results.ts';

const WITHOUT =
  'sabotage:skip_guard,sabotage:skip_ledger,sabotage:skip_read_back,sabotage:skip_recomputation';

const { values: flags } = parseArgs({
  options: { events: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '5' } },
});
const eventCount = Number(flags.events);
const roundCount = Number(flags.rounds);

const broker = await startBroker();
try {
  const load = { brokers: broker.brokers, eventCount };
  await produceEvents(load);
  const runs: Record<'with' | 'without', Run[]> = { with: [], without: [] };
  for (let index = 0; index < 2 * roundCount; index++) {
    // Every second round begins with the other one, so that neither always comes first.
    const isWith = index % 4 === 0 || index % 4 === 3;
    const env = { MILLRACE_KAFKA_GROUP: `once-${index}`, MILLRACE_FAILPOINTS: isWith ? '' : WITHOUT };
    runs[isWith ? 'with' : 'without'].push(await runMillrace(load, env));
  }
  const withIt = summarize(runs.with, eventCount);
  const without = summarize(runs.without, eventCount);
  const extraCpuPercent = (withIt.totalCpuSecondsPerMillion / without.totalCpuSecondsPerMillion - 1) * 100;
  saveResult('exactly-once', {
    eventCount,
    roundCount,
    with: withIt,
    without,
    extraCpuPercent: Math.round(extraCpuPercent * 10) / 10,
  });
} finally {
  await broker.stop();
}
