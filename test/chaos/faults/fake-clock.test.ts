import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { skipHere } from '../../support/skip-here.ts';
import { type ClockSetting, createFakeClock, fakeClockProblem } from './fake-clock.ts';

const run = promisify(execFile);
const HOUR_MS = 3_600_000;

/** What main and a worker thread see over a second of true time; and whether a child would inherit the clock. */
const PROGRAM = `
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
const [date, steady] = [Date.now(), performance.now()];
await delay(1000);
const seen = { date, dateMs: Date.now() - date, steadyMs: performance.now() - steady };
if (isMainThread) {
  const [inWorker] = await once(new Worker(new URL(import.meta.url)), 'message');
  console.log(JSON.stringify({ threads: [seen, inWorker], preload: process.env.LD_PRELOAD ?? null }));
} else parentPort.postMessage(seen);
`;

let directory = '';
beforeEach(async (context) => {
  const problem = await fakeClockProblem();
  if (problem !== '') skipHere(context, problem);
  directory = await mkdtemp(join(tmpdir(), 'millrace-clock-'));
});
afterEach(async () => {
  if (directory !== '') await rm(directory, { recursive: true, force: true });
});

async function lookUnder(setting: ClockSetting) {
  const clock = await createFakeClock(directory, setting);
  const env = { ...process.env, ...clock.environment };
  const file = join(directory, 'program.mjs');
  await writeFile(file, PROGRAM);
  const { stdout } = await run(process.execPath, [file], { env });
  return JSON.parse(stdout);
}

describe('a fake clock', () => {
  test.each([HOUR_MS, -HOUR_MS])('is off by %i ms in every thread, and timers are true', async (offsetMs) => {
    const seen = await lookUnder({ offsetSeconds: offsetMs / 1000 });
    for (const { date, dateMs, steadyMs } of seen.threads) {
      expect(Math.abs(date - Date.now() - offsetMs)).toBeLessThan(20_000);
      expect(Math.abs(dateMs - steadyMs)).toBeLessThan(50);
    }
    expect(seen.preload).toBeNull();
  });

  test('runs ten times faster, and timers are true', async () => {
    const seen = await lookUnder({ rate: 10 });
    for (const { dateMs, steadyMs } of seen.threads) {
      expect(steadyMs).toBeGreaterThan(999);
      expect(dateMs / steadyMs).toBeGreaterThan(9.5);
      expect(dateMs / steadyMs).toBeLessThan(10.5);
    }
  });
});
