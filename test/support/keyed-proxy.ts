/**
 * The embedded ClickHouse as an external one: a proxy on a port of its own that adds the key which the embedded
 * server demands, so that a program needs nothing but CLICKHOUSE_URL.
 */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { StoreOptions } from '../../src/store/clickhouse-client.ts';

export interface KeyedProxy {
  readonly url: string;
  stop(): Promise<void>;
}

export async function startKeyedProxy({ url, headers }: StoreOptions): Promise<KeyedProxy> {
  const server = createServer((incoming, answer) => {
    const { method = 'GET', headers: own } = incoming;
    const target = new URL(incoming.url ?? '/', url);
    const outgoing = request(target, { method, headers: { ...own, ...headers } }, (from) => {
      answer.writeHead(from.statusCode ?? 502, from.headers);
      from.pipe(answer);
    });
    outgoing.on('error', () => answer.destroy());
    incoming.pipe(outgoing);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
