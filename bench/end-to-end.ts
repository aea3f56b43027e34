/**
 * End to end: mixed events from Kafka into ClickHouse, Millrace against the naive pipeline of naive-pipeline.ts,
 * each alone, with the broker and ClickHouse on the same machine. Says CPU-seconds per million events of the
 * program and of ClickHouse, events per second, peak resident memory, and the ratio of the CPU.
 *
 *   npm run bench:end-to-end -- [--events 1000000] [--rounds 3]
 *
 * Events are seeded and lie in the broker before a run begins; the two alternate, medians count.
 */
import { parseArgs } from 'node:util';
import { startBroker } from '../test/support/kafka-broker.ts';
import { produceEvents, type Run, round, runMillrace, runNaive, summarize } from './support/pipeline-run.ts';
import { saveResult } from './support/results.ts';

const { values: flags } = parseArgs({
  options: { events: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '3' } },
});
const eventCount = Number(flags.events);
const roundCount = Number(flags.rounds);

const broker = await startBroker();
try {
  const load = { brokers: broker.brokers, eventCount };
  await produceEvents(load);
  const millraceRuns: Run[] = [];
  const naiveRuns: Run[] = [];
  for (let index = 0; index < roundCount; index++) {
    // A consumer group of its own each time, so that every run reads everything.
    millraceRuns.push(await runMillrace(load, { MILLRACE_KAFKA_GROUP: `millrace-${index}` }));
    naiveRuns.push(await runNaive(load, `naive-${index}`));
  }
  const millrace = summarize(millraceRuns, eventCount);
  const naive = summarize(naiveRuns, eventCount);
  const cpuRatio = round(millrace.totalCpuSecondsPerMillion / naive.totalCpuSecondsPerMillion);
  saveResult('end-to-end', { eventCount, roundCount, millrace, naive, cpuRatio });
} finally {
  await broker.stop();
}
