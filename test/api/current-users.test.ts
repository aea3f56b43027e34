/**
 * Which tokens stand, by the users as read last: ages, one shared read, and a table that cannot be read.
 */
import { expect, it } from 'vitest';
import { CurrentUsers } from '../../src/api/auth/current-users.ts';
import type { User } from '../../src/api/auth/users.ts';
import { RecordingTelemetry } from '../support/clickhouse.ts';

const claims = { username: 'ann', role: 'viewer', version: 5, sessionId: 's' } as const;

function user(version: number, changed: Partial<User> = {}): User {
  return { name: 'ann', role: 'viewer', isDisabled: false, version, changedAt: '', ...changed };
}

function setUp() {
  const table = { users: [user(5)], isBroken: false, readCount: 0, gate: Promise.resolve() };
  const clock = { nowMs: 1_000_000 };
  const telemetry = new RecordingTelemetry();
  async function list(): Promise<User[]> {
    table.readCount++;
    const { users } = table;
    await table.gate;
    if (table.isBroken) throw new Error('no answer');
    return users;
  }
  const current = new CurrentUsers({ users: { list }, telemetry, now: () => clock.nowMs });
  return { table, clock, telemetry, current };
}

it('reads once for many requests, and not again while that is fresh', async () => {
  const { table, clock, current } = setUp();
  const answers = await Promise.all(Array.from({ length: 50 }, () => current.accepts(claims)));
  expect(answers).toEqual(Array<boolean>(50).fill(true));
  clock.nowMs += 3000;
  await current.accepts(claims);
  expect(table.readCount).toBe(1);
});

it('reads ahead while requests go on, and waits for the read when the last one is too old', async () => {
  const { table, clock, current } = setUp();
  await current.accepts(claims);
  table.users = [user(6)];
  clock.nowMs += 5000;
  expect(await current.accepts(claims)).toBe(true);
  expect(await current.accepts(claims)).toBe(false);
  expect(table.readCount).toBe(2);
  table.users = [user(7)];
  clock.nowMs += 10_000;
  expect(await current.accepts({ ...claims, version: 6 })).toBe(false);
});

it('is not fooled by a clock that was set back', async () => {
  const { table, clock, current } = setUp();
  await current.accepts(claims);
  table.users = [user(5, { isDisabled: true })];
  clock.nowMs -= 3_600_000;
  expect(await current.accepts(claims)).toBe(false);
});

it('keeps the last answer while the table cannot be read, and asks for it now and then', async () => {
  const { table, clock, telemetry, current } = setUp();
  await current.accepts(claims);
  table.isBroken = true;
  clock.nowMs += 60_000;
  expect(await current.accepts(claims)).toBe(true);
  expect(await current.accepts({ ...claims, version: 4 })).toBe(false);
  expect(table.readCount).toBe(2);
  expect(telemetry.events.map(({ event }) => event)).toEqual(['users_unreadable']);
  table.isBroken = false;
  table.users = [];
  clock.nowMs += 5000;
  expect(await current.accepts(claims)).toBe(false);
});

it('goes by the token before the first answer', async () => {
  const { table, current } = setUp();
  table.isBroken = true;
  expect(await current.accepts(claims)).toBe(true);
});

it('knows who logged in during a read that does not have them', async () => {
  const { table, current } = setUp();
  const gate = deferred();
  table.gate = gate.promise;
  const reading = current.accepts(claims);
  current.learn(user(9, { name: 'bob' }));
  current.learn(user(6));
  gate.resolve();
  expect(await reading).toBe(false);
  expect(await current.accepts({ ...claims, username: 'bob', version: 9 })).toBe(true);
  expect(await current.accepts({ ...claims, version: 6 })).toBe(true);
});

function deferred() {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
