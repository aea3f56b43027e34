/** How often the main thread is asked whether the program is ready. */
import { expect, it } from 'vitest';
import { probeRoutes } from '../../src/api/health/health-routes.ts';
import { KeptReadiness } from '../../src/api/health/kept-readiness.ts';
import type { PublicContext, Route } from '../../src/api/route.ts';
import type { SnapshotKind, StatusSnapshots } from '../../src/pipeline/status-port.ts';
import { SettableStatus } from './api-fixture.ts';

class CountedStatus extends SettableStatus {
  askedCount = 0;

  override snapshot<K extends SnapshotKind>(kind: K): Promise<StatusSnapshots[K]> {
    this.askedCount++;
    return super.snapshot(kind);
  }
}

const DISK_LOW = { problems: [{ reason: 'disk_low', detail: 'Only 1 MiB is free.', since: 0 }] } as const;

it('is asked once for all who want to know within a quarter of a second', async () => {
  const status = new CountedStatus();
  let nowMs = 0;
  const readiness = new KeptReadiness(status, () => nowMs);
  const all = await Promise.all(Array.from({ length: 1000 }, () => readiness.get()));
  expect(all).toEqual(Array.from({ length: 1000 }, () => ({ problems: [] })));
  status.snapshots.readiness = DISK_LOW;
  nowMs = 249;
  expect(await readiness.get()).toEqual({ problems: [] });
  expect(status.askedCount).toBe(1);
  nowMs = 250;
  expect(await readiness.get()).toEqual(DISK_LOW);
  status.isSilent = true;
  nowMs = 500;
  expect(await readiness.get()).toMatchObject({ problems: [{ reason: 'no_progress' }] });
  status.isSilent = false;
  nowMs = 750;
  expect(await readiness.get()).toEqual(DISK_LOW);
  expect(status.askedCount).toBe(4);
});

it('is so for /readyz', async () => {
  const status = new CountedStatus();
  const route = probeRoutes({ status }).find(({ path }) => path === '/readyz') as Route & {
    handle: (context: PublicContext) => Promise<{ status: number }>;
  };
  const request = { remoteAddress: '203.0.113.9', headers: new Map() };
  const ask = () => route.handle({ request } as unknown as PublicContext);
  const answers = await Promise.all(Array.from({ length: 100 }, ask));
  expect(answers.every((answer) => answer.status === 200)).toBe(true);
  expect(status.askedCount).toBe(1);
});
