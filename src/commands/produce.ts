/**
 * `millrace produce`: seeded events into Kafka or the HTTP API, and at the end the account that storage must match.
 */
import { type Command, Option } from 'commander';
import type { Config } from '../config.ts';
import { checksumQuery } from '../produce/checksum.ts';
import { createGenerator } from '../produce/generator.ts';
import { addApiOptions, connectApi, readApiTarget } from './api-client.ts';
import { createCommandTelemetry } from './command-telemetry.ts';
import type { EventSink } from './event-sink.ts';
import { formatCount, writeNote, writeResult } from './output.ts';
import { createHttpSink } from './produce-http.ts';
import { createAccount, type ProductionAccount, runProduction } from './produce-loop.ts';
import { addProduceOptions, type ProduceOptions, readProduceOptions } from './produce-options.ts';
import { startProgress } from './progress.ts';
import { addSettingAlias, addSettingFlags, loadCommandConfig } from './setting-flags.ts';
import { listenForStop } from './stop-signal.ts';

export function registerProduce(program: Command): void {
  const command = program
    .command('produce')
    .description('send seeded events to Kafka, or with --url to the HTTP API, and print their checksum')
    .action(() => produce(command));
  addProduceOptions(command);
  addApiOptions(command, 'send to this HTTP API instead of Kafka; `local`: the program running on DATA_DIR');
  addSettingFlags(command, ['general', 'kafka']);
  addSettingAlias(command, 'KAFKA_BROKERS', new Option('--brokers <a,b,…>', 'the same as --kafka-brokers'));
}

async function produce(command: Command): Promise<void> {
  const raw = command.opts<Record<string, unknown>>();
  const options = readProduceOptions(raw, Date.now());
  const config = loadCommandConfig(command);
  const sink = await openSink(raw, config, options);
  const stop = listenForStop();
  const progress = startProgress({
    unit: 'events',
    total: Number.isFinite(options.count) ? options.count : undefined,
    isSilent: options.isJson,
  });
  const account = createAccount();
  try {
    const generator = createGenerator(options.generator);
    const { rate, count } = options;
    const onSent = (sentCount: number): void => progress.add(sentCount);
    await runProduction({ generator, sink, rate, count, signal: stop.signal, onSent }, account);
  } catch (error) {
    progress.finish();
    if (account.sentCount > 0) report(account, options);
    throw error;
  } finally {
    progress.finish();
    stop.release();
    await sink.close();
  }
  report(account, options);
}

async function openSink(
  raw: Readonly<Record<string, unknown>>,
  config: Config,
  options: ProduceOptions,
): Promise<EventSink> {
  if (raw['url'] !== undefined) {
    const { url, ...rest } = raw;
    const target = url === 'local' ? rest : raw;
    return createHttpSink(
      await connectApi(readApiTarget(target, { dataDir: config.dataDir, role: 'writer' })),
    );
  }
  const { createKafkaSink } = await import('./produce-kafka.ts');
  return await createKafkaSink(config, options, createCommandTelemetry(config));
}

function report(account: ProductionAccount, options: ProduceOptions): void {
  const { sentCount, unconfirmedCount, byKind, byTopic, checksum, firstSeq, lastSeq, elapsedMs } = account;
  const query = checksumQuery({ firstSeq, lastSeq });
  const { seed, startUs, kind } = options.generator;
  const result = {
    events: sentCount,
    unconfirmed: unconfirmedCount,
    by_kind: Object.fromEntries(byKind),
    by_topic: Object.fromEntries(byTopic),
    checksum: checksum.toString(),
    first_seq: firstSeq,
    last_seq: lastSeq,
    seconds: Math.round(elapsedMs) / 1000,
    kind,
    seed,
    start: new Date(Math.floor(startUs / 1000)).toISOString(),
    query,
  };
  writeResult(options.isJson, result, () => {
    const rate = (sentCount * 1000) / Math.max(1, elapsedMs);
    const lines = [
      `${formatCount(sentCount)} events in ${result.seconds} s (${formatCount(rate)}/s), seed ${seed}, start ${result.start}`,
      ...countLines('kind ', byKind),
      ...countLines('topic', byTopic),
      `  seq    ${firstSeq} to ${lastSeq}`,
      `checksum ${result.checksum}`,
    ];
    return lines.join('\n');
  });
  if (unconfirmedCount > 0) {
    writeNote(
      `millrace: ${formatCount(unconfirmedCount)} more events were sent without an answer; they may have arrived.`,
    );
  }
}

function countLines(label: string, counts: ReadonlyMap<string, number>): string[] {
  const names = [...counts.keys()].toSorted((a, b) => a.localeCompare(b));
  return names.map((name) => `  ${label}  ${name.padEnd(16)} ${formatCount(counts.get(name) ?? 0)}`);
}
