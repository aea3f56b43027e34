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

/** `hold` is told the length of each request's body when its answer has begun, and keeps the answer back. */
export async function startKeyedProxy(
  { url, headers }: StoreOptions,
  hold: (bodyBytes: number) => Promise<void> = () => Promise.resolve(),
): Promise<KeyedProxy> {
  const server = createServer((incoming, answer) => {
    const { method = 'GET', headers: own } = incoming;
    const target = new URL(incoming.url ?? '/', url);
    let bodyBytes = 0;
    const outgoing = request(target, { method, headers: { ...own, ...headers } }, (from) => {
      const passOn = async (): Promise<void> => {
        await hold(bodyBytes);
        answer.writeHead(from.statusCode ?? 502, from.headers);
        from.pipe(answer);
      };
      passOn().catch(() => answer.destroy());
    });
    outgoing.on('error', () => answer.destroy());
    incoming.on('data', (piece: Buffer) => {
      bodyBytes += piece.length;
    });
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
