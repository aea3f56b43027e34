/**
 * What is held for a body that does not come is given back, by both HTTP servers.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpServer } from '../../../src/api/http/port.ts';
import { createHttpServer } from '../../../src/api/http/server.ts';
import { ByteBudget } from '../../../src/api/ingest/byte-budget.ts';
import { problemResponse } from '../../../src/api/problem.ts';
import { RecordingTelemetry } from '../../support/clickhouse.ts';
import { openRaw } from './raw-client.ts';

const BODY_BYTES = 1000;
const HEAD = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY_BYTES}\r\n`;

describe.each(['uws', 'node'] as const)('HTTP server %s', (kind) => {
  const budget = new ByteBudget({ capacityBytes: 3 * BODY_BYTES, shareBytes: BODY_BYTES });
  let server: HttpServer;
  let port = 0;

  beforeAll(async () => {
    server = createHttpServer(
      kind,
      {
        host: '127.0.0.1',
        port: 0,
        requestDeadlineMs: 1500,
        handler: (request) =>
          budget.spend('ann', async (hold) => {
            await request.readBody(BODY_BYTES, (byteCount) => hold.take(byteCount));
            return { status: 200, headers: {} };
          }),
        failure: (error) => problemResponse(error),
      },
      new RecordingTelemetry(),
    );
    port = await server.listen();
  });

  afterAll(async () => {
    await server.stop(1000);
  });

  it('frees the budget when the client goes away and when the deadline has passed', async () => {
    const [slow, asking, gone] = await Promise.all([openRaw(port), openRaw(port), openRaw(port)]);
    slow.send(`${HEAD}\r\nabc`);
    asking.send(`${HEAD}Expect: 100-continue\r\n\r\n`);
    gone.send(`${HEAD}\r\nabc`);
    await expect.poll(() => budget.usedBytes).toBe(6);
    gone.destroy();
    await expect.poll(() => budget.usedBytes).toBe(3);
    expect(await slow.until(/\r\n\r\n.*deadline_exceeded/)).toContain('HTTP/1.1 503');
    expect(await asking.until(/\r\n\r\n.*deadline_exceeded/)).toContain('HTTP/1.1 503');
    expect(budget.usedBytes).toBe(0);
    await Promise.all([slow.closed(), asking.closed()]);
  });
});
