/** `millrace process` with a ClickHouse behind the faulty proxy; both outlive it. */
import type { Store } from '../../../src/store/clickhouse-client.ts';
import type { Chaos, ExternalClickHouse } from '../chaos.ts';
import type { Member } from '../member.ts';
import { type StoreProxy, startStoreProxy } from './store-proxy.ts';

export interface ProxiedProgram {
  readonly member: Member;
  readonly proxy: StoreProxy;
  readonly clickhouse: ExternalClickHouse;
  /** A client that does not go through the proxy. */
  readonly store: Store;
}

/** One topic and one program that is ready. */
export async function startProxiedProgram(chaos: Chaos): Promise<ProxiedProgram> {
  const clickhouse = await chaos.startClickHouse();
  const proxy = await startStoreProxy(clickhouse.connection);
  chaos.atEnd(() => proxy.stop());
  const member = await chaos.startProgram({
    command: 'process',
    clickhouse: { ...clickhouse, url: proxy.url },
    // The least that brokers allow: who is killed is soon replaced.
    settings: { KAFKA_SESSION_TIMEOUT_MS: '6000' },
  });
  return { member, proxy, clickhouse, store: clickhouse.store };
}
