/** The README's figures, from the results that benches left in bench/results. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/package-info.ts';

interface PipelineFigures {
  readonly programCpuSecondsPerMillion: number;
  readonly clickhouseCpuSecondsPerMillion: number;
  readonly totalCpuSecondsPerMillion: number;
  readonly eventsPerSecond: number;
  readonly peakResidentMiB: number;
}

interface EndToEnd {
  readonly commit: string;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly eventCount: number;
  readonly roundCount: number;
  readonly millrace: PipelineFigures;
  readonly naive: PipelineFigures;
  readonly cpuRatio: number;
}

const COUNT = new Intl.NumberFormat('en-US');

function readResult(name: string): unknown {
  return JSON.parse(readFileSync(join(PACKAGE_ROOT, `bench/results/${name}.json`), 'utf8'));
}

interface ExactlyOnce {
  readonly commit: string;
  readonly roundCount: number;
  readonly with: PipelineFigures;
  readonly without: PipelineFigures;
  readonly extraCpuPercent: number;
}

function exactlyOnceMarkdown(): string {
  const result = readResult('exactly-once') as ExactlyOnce;
  const { with: withIt, without, extraCpuPercent, roundCount, commit } = result;
  return (
    `Exactly once (guard, ledger, read-back) costs **${extraCpuPercent} %** of the total CPU: ` +
    `${withIt.totalCpuSecondsPerMillion} against ${without.totalCpuSecondsPerMillion} CPU-seconds per million events ` +
    `without it, medians of ${roundCount} alternating rounds (\`bench/exactly-once.ts\`, commit ${commit}).`
  );
}

export function figuresMarkdown(): string {
  const result = readResult('end-to-end') as EndToEnd;
  const { millrace, naive } = result;
  const row = (what: string, read: (figures: PipelineFigures) => number): string =>
    `| ${what} | ${COUNT.format(read(millrace))} | ${COUNT.format(read(naive))} |`;
  return [
    `${COUNT.format(result.eventCount)} mixed events over 4 topics of 6 partitions, broker and ClickHouse on the same ` +
      `${result.cores} cores (${result.cpu}, Node ${result.node}, commit ${result.commit}), medians of ` +
      `${result.roundCount} alternating rounds. *Naive* is kafkajs \`eachMessage\`, \`JSON.parse\` and JSONEachRow ` +
      `inserts into the same table (\`bench/naive-pipeline.ts\`).`,
    '',
    '| | Millrace | naive |',
    '|---|---|---|',
    row('CPU-seconds of the program per million events', (figures) => figures.programCpuSecondsPerMillion),
    row('CPU-seconds of ClickHouse per million events', (figures) => figures.clickhouseCpuSecondsPerMillion),
    row('CPU-seconds in total per million events', (figures) => figures.totalCpuSecondsPerMillion),
    row('events per second, end to end', (figures) => figures.eventsPerSecond),
    row('peak resident memory of the program, MiB', (figures) => figures.peakResidentMiB),
    '',
    `Total CPU, Millrace to naive: **${result.cpuRatio}**. Starting the program and merging for five seconds are included.`,
    '',
    exactlyOnceMarkdown(),
  ].join('\n');
}
