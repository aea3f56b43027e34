/** A proxy in front of the embedded ClickHouse that counts queries of logs, and adds the key that ClickHouse demands. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { StoreOptions } from '../../src/store/clickhouse-client.ts';

export interface CountingProxy {
  readonly url: string;
  /** Those that read table `logs`, as they came. */
  readonly logQueries: readonly string[];
  stop(): Promise<void>;
}

const LOG_QUERY = /\bFROM (?:\w+\.)?logs\b/i;

export async function startCountingProxy({ url, headers = {} }: StoreOptions): Promise<CountingProxy> {
  const logQueries: string[] = [];
  const pass = async (incoming: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const target = new URL(incoming.url ?? '/', url);
    const options = { method: incoming.method, headers: { ...incoming.headers, ...headers } };
    const outgoing = request(target, options, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    outgoing.on('error', () => answer.destroy());
    answer.on('close', () => outgoing.destroy());
    // The statement of an insert stands in the address, and rows in the body.
    if (target.searchParams.has('query')) {
      incoming.pipe(outgoing);
      return;
    }
    const body = await buffer(incoming);
    const sql = body.toString();
    if (LOG_QUERY.test(sql)) logQueries.push(sql);
    outgoing.end(body);
  };
  const server = createServer((incoming, answer) => {
    pass(incoming, answer).catch(() => answer.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    logQueries,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
