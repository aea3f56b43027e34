/**
 * A body that comes out of ClickHouse while it is sent, on both servers: what the client does not read is not read
 * from the database either, and a client that leaves ends the query.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpRequest, HttpResponse, HttpServer } from '../../../src/api/http/port.ts';
import { createHttpServer } from '../../../src/api/http/server.ts';
import { problemResponse } from '../../../src/api/problem.ts';
import { startClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { openRaw } from './raw-client.ts';

const ROWS = 400_000;
const ROW_BYTES = 1000;
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse({ isMigrated: false });
}, 60_000);

afterAll(async () => {
  await clickhouse.stop();
});

describe.each(['uws', 'node'] as const)('a stream out of ClickHouse on %s', (kind) => {
  let server: HttpServer;
  let port = 0;
  let readRows = 0;
  let handler: (request: HttpRequest) => Promise<HttpResponse>;

  async function* body(sql: string, { signal }: HttpRequest): AsyncGenerator<string> {
    const options = { signal, queryId: `stream-${kind}`, settings: { max_block_size: 1000 } };
    for await (const rows of clickhouse.store.stream<{ text: string }>(sql, {}, options)) {
      readRows += rows.length;
      yield rows.map(({ text }) => `${text}\n`).join('');
    }
    yield 'end\n';
  }

  const runningCount = async (): Promise<number> => {
    const sql = 'SELECT count() AS count FROM system.processes WHERE query_id = {id:String}';
    const [row] = await clickhouse.store.query<{ count: number }>(sql, { id: `stream-${kind}` });
    return row?.count ?? -1;
  };

  beforeAll(async () => {
    server = createHttpServer(
      kind,
      {
        host: '127.0.0.1',
        port: 0,
        requestDeadlineMs: 20_000,
        handler: (request) => handler(request),
        failure: (error) => problemResponse(error),
      },
      clickhouse.telemetry,
    );
    port = await server.listen();
  });

  afterAll(async () => {
    await server.stop(1000);
  });

  it('waits for a reader that stops, and ends the query when that reader leaves', async () => {
    const sql = `SELECT repeat('x', ${ROW_BYTES}) AS text FROM numbers(${ROWS})`;
    handler = async (request) => ({ status: 200, headers: {}, body: body(sql, request) });
    readRows = 0;
    const raw = await openRaw(port);
    raw.socket.pause();
    raw.send(GET);
    const heldRows = await standstill(() => readRows);
    // The sockets' own buffers hold a few megabytes.
    expect(heldRows * ROW_BYTES).toBeLessThan(20_000_000);
    expect(await runningCount()).toBe(1);
    raw.destroy();
    await expect.poll(runningCount, { timeout: 10_000 }).toBe(0);
    await expect.poll(() => server.inFlightCount, { timeout: 10_000 }).toBe(0);
    expect(readRows).toBeLessThan(ROWS);
  }, 40_000);

  it('ends a body in the middle when the query fails there, and the client knows', async () => {
    const sql = `SELECT repeat('x', ${ROW_BYTES}) AS text FROM numbers(50000) WHERE throwIf(number = 40000) = 0`;
    handler = async (request) => ({ status: 200, headers: {}, body: body(sql, request) });
    readRows = 0;
    const raw = await openRaw(port);
    raw.send(GET);
    await raw.closed();
    expect(raw.text()).toContain('HTTP/1.1 200');
    expect(readRows).toBeGreaterThan(0);
    expect(raw.text()).not.toMatch(/end\n|\r\n0\r\n\r\n$/);
    await expect.poll(() => server.inFlightCount).toBe(0);
  }, 40_000);
});

/** The value once it has not changed for half a second. */
async function standstill(read: () => number): Promise<number> {
  let last = -1;
  while (last <= 0 || read() !== last) {
    last = read();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return last;
}
