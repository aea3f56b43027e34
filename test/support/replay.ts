/** `millrace replay` in this process, on the shared broker and a ClickHouse of the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makePlan, viewTopic } from '../../src/commands/replay-plan.ts';
import { runReplay } from '../../src/commands/replay-run.ts';
import { loadConfig } from '../../src/config.ts';
import type { ReplayRequest } from '../../src/replay/plan.ts';
import type { ReplayMode } from '../../src/replay/ports.ts';
import type { ReplayTally } from '../../src/replay/run.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { RecordingTelemetry } from './clickhouse.ts';
import { kafkaBrokers } from './kafka.ts';
import { writeLetterKey } from './letters.ts';

export type ReplayOfTest = Partial<ReplayRequest> & { readonly topic: string; readonly mode: ReplayMode };

/** Nothing but keys of the program would go there. */
const dataDir = mkdtempSync(join(tmpdir(), 'millrace-replay-'));
writeLetterKey(dataDir);
process.once('exit', () => rmSync(dataDir, { recursive: true, force: true }));

function configOf() {
  const env = { MILLRACE_DATA_DIR: dataDir, MILLRACE_KAFKA_BROKERS: kafkaBrokers().join(',') };
  return loadConfig({ flags: {}, env }).config;
}

async function planned(store: Store, { topic, mode, ...rest }: ReplayOfTest) {
  const request = { topic, mode, from: { kind: 'offset', offset: 0 }, ...rest } as const;
  const view = await viewTopic(configOf(), request, new RecordingTelemetry());
  return { ...(await makePlan(store, view, request)), view };
}

/** From offset 0 on unless told otherwise. */
export async function replayTopic(store: Store, request: ReplayOfTest): Promise<ReplayTally> {
  const job = await planned(store, request);
  return await runReplay({ config: configOf(), telemetry: new RecordingTelemetry(), store }, job, true);
}
