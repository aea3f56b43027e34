/** `millrace process`: Kafka into an external ClickHouse, without the API. */

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { kafkaBrokers, uniqueName } from '../support/kafka.ts';
import { type KeyedProxy, startKeyedProxy } from '../support/keyed-proxy.ts';
import { createKindTopics, produceEvents } from '../support/produce-events.ts';
import { startProgram } from '../support/program.ts';
import { expectBalancedLedger, expectChecksum, expectCommittedToEnd } from '../support/stored.ts';
import { until } from '../support/until.ts';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('process with an external ClickHouse', () => {
  let clickhouse: TestClickHouse;
  let proxy: KeyedProxy;
  let dataDir = '';
  beforeAll(async () => {
    // Not migrated: the program brings the schema.
    clickhouse = await startClickHouse({ isMigrated: false });
    proxy = await startKeyedProxy(clickhouse.connection);
    dataDir = await mkdtemp(join(tmpdir(), 'millrace-process-'));
  });
  afterAll(async () => {
    await proxy.stop();
    await clickhouse.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  test('applies the schema, stores and commits everything, answers probes, and drains on SIGTERM', async () => {
    const topics = await createKindTopics(2);
    const group = uniqueName('process');
    const adminPort = await freePort();
    const program = await startProgram({
      command: 'process',
      dataDir,
      settings: {
        CLICKHOUSE_URL: proxy.url,
        KAFKA_BROKERS: kafkaBrokers().join(','),
        KAFKA_TOPICS: [...topics.values()].join(','),
        KAFKA_GROUP: group,
        ADMIN_PORT: String(adminPort),
      },
    });
    try {
      const account = await produceEvents({ topics, count: 20_000 });
      const probe = async (path: string): Promise<number> =>
        (await fetch(`http://127.0.0.1:${adminPort}${path}`)).status;
      await until(
        () =>
          probe('/readyz').then(
            (status) => status === 200,
            () => false,
          ),
        {
          seen: () => program.printed,
        },
      );
      const metrics = async (): Promise<string> =>
        await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
      await until(async () => /^millrace_stored_records_total 20000$/m.test(await metrics()));
      expect(await probe('/livez')).toBe(200);
      program.signal('SIGTERM');
      expect(await program.exited).toEqual({ code: 0, signal: null });
      await expectChecksum(clickhouse.store, account);
      await expectBalancedLedger(clickhouse.store);
      await expectCommittedToEnd(group, [...topics.values()]);
    } finally {
      await program.kill();
    }
  });
});
