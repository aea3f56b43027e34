/**
 * Who takes too little of a stream to be waited for.
 */
import { afterEach, expect, it, vi } from 'vitest';
import { Exchange, type Transport } from '../../../src/api/http/exchange.ts';
import { LeastRate } from '../../../src/api/http/least-rate.ts';
import { problemResponse } from '../../../src/api/problem.ts';
import type { MillraceError } from '../../../src/errors.ts';

const CHUNK_BYTES = 4096;

afterEach(() => {
  vi.useRealTimers();
});

it('is told by the bytes taken in a minute of waiting', () => {
  const rate = new LeastRate();
  for (let i = 0; i < 10; i += 1) {
    expect([rate.took(65_535, 0), rate.took(1, 59_999), rate.took(0, 1)]).toEqual([true, true, true]);
  }
  expect([rate.took(65_535, 59_999), rate.took(0, 1)]).toEqual([true, false]);
});

/** A client that takes a chunk each `stepMs`; after how many it is cut off, at most 100. */
async function chunksUntilCut(stepMs: number): Promise<number> {
  vi.useFakeTimers();
  const state = { isCut: false };
  const unused = () => undefined;
  const transport: Transport = {
    send: unused,
    startStream: unused,
    write: () => false,
    endStream: unused,
    cut: () => {
      state.isCut = true;
    },
    pause: unused,
    resume: unused,
  };
  async function* body() {
    for (;;) yield new Uint8Array(CHUNK_BYTES);
  }
  const head = { method: 'GET', path: '/', query: '', headers: new Map(), remoteAddress: '127.0.0.1' };
  const options = {
    host: '127.0.0.1',
    port: 0,
    requestDeadlineMs: 1000,
    handler: async () => ({ status: 200, headers: {}, body: body() }),
    failure: (error: MillraceError) => problemResponse(error),
  };
  const exchange = new Exchange(head, transport, { options, onDone: unused });
  await exchange.run();
  let chunkCount = 0;
  for (; chunkCount < 100 && !state.isCut; chunkCount += 1) {
    await vi.advanceTimersByTimeAsync(stepMs);
    exchange.drained();
    await vi.advanceTimersByTimeAsync(0);
  }
  exchange.aborted();
  return chunkCount;
}

it('is cut off', async () => {
  // Under and over 64 KiB in a minute.
  expect(await chunksUntilCut(20_000)).toBe(3);
  expect(await chunksUntilCut(1000)).toBe(100);
});
