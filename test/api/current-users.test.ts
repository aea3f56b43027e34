/**
 * Which tokens stand, by the users as read last: ages, one shared read, and a table that cannot be read.
 */
import { expect, it } from 'vitest';
import { CurrentUsers } from '../../src/api/auth/current-users.ts';
import type { User } from '../../src/api/auth/users.ts';
import { RecordingTelemetry } from '../support/clickhouse.ts';

const SCOPE = { services: ['web'] };
const claims = { username: 'ann', role: 'viewer', version: 5, sessionId: 's' } as const;

function user(version: number, changed: Partial<User> = {}): User {
  return {
    name: 'ann',
    role: 'viewer',
    isDisabled: false,
    version,
    scope: SCOPE,
    changedAt: '',
    changedBy: '',
    ...changed,
  };
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
  const answers = await Promise.all(Array.from({ length: 50 }, () => current.scopeOf(claims)));
  expect(answers).toEqual(answers.map(() => SCOPE));
  clock.nowMs += 3000;
  await current.scopeOf(claims);
  expect(table.readCount).toBe(1);
});

it('reads ahead while requests go on, and waits for the read when the last one is too old', async () => {
  const { table, clock, current } = setUp();
  await current.scopeOf(claims);
  table.users = [user(6)];
  clock.nowMs += 5000;
  expect(await current.scopeOf(claims)).toBe(SCOPE);
  await expect.poll(() => current.scopeOf(claims), { interval: 1 }).toBeUndefined();
  expect(table.readCount).toBe(2);
  table.users = [user(7)];
  clock.nowMs += 10_000;
  expect(await current.scopeOf({ ...claims, version: 6 })).toBeUndefined();
});

it('is not fooled by a clock that was set back', async () => {
  const { table, clock, current } = setUp();
  await current.scopeOf(claims);
  table.users = [user(5, { isDisabled: true })];
  clock.nowMs -= 3_600_000;
  expect(await current.scopeOf(claims)).toBeUndefined();
});

it('keeps the last answer for a minute while the table cannot be read, and asks for it now and then', async () => {
  const { table, clock, telemetry, current } = setUp();
  await current.scopeOf(claims);
  table.isBroken = true;
  clock.nowMs += 60_000;
  expect(await current.scopeOf(claims)).toBe(SCOPE);
  expect(await current.scopeOf({ ...claims, version: 4 })).toBeUndefined();
  expect(table.readCount).toBe(2);
  expect(telemetry.events.map(({ event }) => event)).toEqual(['users_unreadable']);
  clock.nowMs += 1;
  await expect(current.scopeOf(claims)).rejects.toMatchObject({ code: 'store_unavailable' });
  table.isBroken = false;
  table.users = [];
  clock.nowMs += 5000;
  expect(await current.scopeOf(claims)).toBeUndefined();
});

it('lets nobody in before the first answer but the command line of this machine', async () => {
  const { table, current } = setUp();
  table.isBroken = true;
  await expect(current.scopeOf(claims)).rejects.toMatchObject({ code: 'store_unavailable' });
  const local = { username: 'command-line', role: 'admin', version: 0, sessionId: 's' } as const;
  expect(await current.scopeOf(local)).toEqual({});
});

it('reads again for a token that is newer than what it knows, and for a user it does not know', async () => {
  const { table, clock, current } = setUp();
  await current.scopeOf(claims);
  table.users = [user(6, { scope: {} }), user(7, { name: 'bob' })];
  expect(await current.scopeOf({ ...claims, version: 6 })).toEqual({});
  table.users = [...table.users, user(8, { name: 'cleo' })];
  // Looking for unknown names is not to be had more often than once a second.
  expect(await current.scopeOf({ ...claims, username: 'cleo', version: 8 })).toBeUndefined();
  clock.nowMs += 1000;
  expect(await current.scopeOf({ ...claims, username: 'cleo', version: 8 })).toBe(SCOPE);
  expect(table.readCount).toBe(3);
});

it('refuses nobody for good whom it could not look up', async () => {
  const { table, current } = setUp();
  await current.scopeOf(claims);
  table.isBroken = true;
  await expect(current.scopeOf({ ...claims, version: 6 })).rejects.toThrow('no answer');
  await expect(current.scopeOf({ ...claims, username: 'bob' })).rejects.toThrow('no answer');
  expect(table.readCount).toBe(2);
});

it('knows who logged in during a read that does not have them', async () => {
  const { table, current } = setUp();
  const gate = deferred();
  table.gate = gate.promise;
  const reading = current.scopeOf(claims);
  current.learn(user(9, { name: 'bob' }));
  current.learn(user(6));
  gate.resolve();
  expect(await reading).toBeUndefined();
  expect(await current.scopeOf({ ...claims, username: 'bob', version: 9 })).toBe(SCOPE);
  expect(await current.scopeOf({ ...claims, version: 6 })).toBe(SCOPE);
});

function deferred() {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
