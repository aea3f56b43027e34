/**
 * Who has to wait after failed logins, and who never has to; all in memory, with a clock of its own.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { addressGroup } from '../../src/api/auth/address-group.ts';
import { LoginLimiter } from '../../src/api/auth/login-limiter.ts';
import { RecentSet } from '../../src/api/auth/recent-set.ts';

let nowMs: number;
let limiter: LoginLimiter;

beforeEach(() => {
  nowMs = 0;
  limiter = new LoginLimiter(() => nowMs);
});

function attempt(username: string, address: string, isKnown = false): number {
  return limiter.attempt({ username, address, isKnown });
}

function fail(count: number, username: (i: number) => string, address: (i: number) => string): number[] {
  return Array.from({ length: count }, (_, i) => attempt(username(i), address(i)));
}

describe('a user at an address', () => {
  it('has five attempts, those under way among them, then waits ever longer, up to a minute', () => {
    for (let i = 0; i < 5; i++) expect(attempt('ann', '1')).toBe(0);
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      waits.push(attempt('ann', '1'));
      nowMs += (waits.at(-1) ?? 0) * 1000;
      expect(attempt('ann', '1')).toBe(0);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  });

  it('is not made to wait longer by attempts that are refused, and is free again after a success or a while', () => {
    for (let i = 0; i < 5; i++) attempt('ann', '1');
    for (let i = 0; i < 100; i++) expect(attempt('ann', '1')).toBe(1);
    nowMs += 1000;
    expect(attempt('ann', '1')).toBe(0);
    limiter.succeeded({ username: 'ann', address: '1', isKnown: false });
    for (let i = 0; i < 5; i++) expect(attempt('ann', '1')).toBe(0);
    expect(attempt('ann', '1')).toBe(1);
    nowMs += 15 * 60_000;
    for (let i = 0; i < 5; i++) expect(attempt('ann', '1')).toBe(0);
  });

  it('is not told apart from a user that does not exist', () => {
    const waits = (username: string) => Array.from({ length: 9 }, () => attempt(username, username));
    expect(waits('ann')).toEqual(waits('nobody'));
  });
});

describe('nobody locks a user out', () => {
  it('from one address, however long: at any other the user need not wait', () => {
    for (let second = 0; second < 7200; second++) {
      nowMs += 1000;
      attempt('admin', 'attacker');
    }
    expect(attempt('admin', 'attacker')).toBeGreaterThan(0);
    expect(attempt('admin', 'never seen')).toBe(0);
  });

  it('from many addresses, where the user is known; elsewhere the user waits, and only this one', () => {
    expect(
      fail(
        30,
        () => 'admin',
        (i) => `attacker ${i}`,
      ),
    ).toEqual(Array<number>(30).fill(0));
    expect(attempt('admin', 'never seen')).toBe(1);
    expect(attempt('ann', 'never seen')).toBe(0);
    nowMs += 900_000;
    for (let i = 0; i < 500; i++) {
      attempt('admin', `attacker ${i}`);
      expect(attempt('admin', `home ${i % 50}`, true)).toBe(0);
      limiter.succeeded({ username: 'admin', address: `home ${i % 50}`, isKnown: true });
      nowMs += 500;
    }
    expect(attempt('admin', 'never seen')).toBeGreaterThan(0);
    expect(attempt('admin', 'never seen')).toBeLessThanOrEqual(60);
  });

  it('by failing at the same address under other names, where the user is known', () => {
    fail(
      60,
      (i) => `user ${i}`,
      () => 'office',
    );
    expect(attempt('another', 'office')).toBeGreaterThan(0);
    expect(attempt('admin', 'office')).toBeGreaterThan(0);
    expect(attempt('admin', 'office', true)).toBe(0);
    expect(attempt('another', 'elsewhere')).toBe(0);
  });

  it('by failing under the same name at the same address, where the user is known: it takes a few seconds', () => {
    let attemptCount = 0;
    for (let i = 0; i < 3600; i++) {
      if (attempt('admin', 'office', true) === 0) attemptCount++;
      const wait = attempt('admin', 'office', true);
      expect(wait).toBeLessThanOrEqual(5);
      nowMs += 1000;
    }
    // Guessing stays slow.
    expect(attemptCount).toBeLessThan(3600 / 5 + 10);
    nowMs += 5000;
    expect(attempt('admin', 'office', true)).toBe(0);
    limiter.succeeded({ username: 'admin', address: 'office', isKnown: true });
    expect(attempt('admin', 'office', true)).toBe(0);
  });

  it('by logging in well many times from new addresses', () => {
    for (let i = 0; i < 200; i++) {
      const login = { username: 'ann', address: `hotel ${i}`, isKnown: false };
      expect(limiter.attempt(login)).toBe(0);
      limiter.succeeded(login);
    }
  });
});

describe('counts', () => {
  /** Logins that fail once each, of users and from addresses that nobody has seen. */
  const junk = (count: number, name: string) =>
    fail(
      count,
      (i) => `${name} ${i}`,
      (i) => `${name} ${i}`,
    );

  it('are forgotten, the oldest first, when there are more than 10,000', () => {
    for (let i = 0; i < 4; i++) attempt('ann', '1');
    junk(9900, 'user');
    expect([attempt('ann', '1'), attempt('ann', '1')]).toEqual([0, 1]);
    for (let i = 0; i < 4; i++) attempt('bob', '2');
    junk(10_000, 'other');
    expect([attempt('bob', '2'), attempt('bob', '2')]).toEqual([0, 0]);
  });

  it('that hold back are not forgotten for any number of others', () => {
    fail(
      30,
      () => 'admin',
      (i) => `attacker ${i}`,
    );
    for (let i = 0; i < 5; i++) attempt('ann', '1');
    fail(
      50,
      (i) => `user ${i}`,
      () => 'office',
    );
    junk(25_000, 'junk');
    expect(attempt('admin', 'never seen')).toBe(1);
    expect(attempt('ann', '1')).toBe(1);
    expect(attempt('nobody', 'office')).toBe(1);
  });
});

it('keeps the values of a set that were added last', () => {
  const set = new RecentSet(2);
  for (const value of ['a', 'b', 'a', 'c']) set.add(value);
  expect(['a', 'b', 'c'].map((value) => set.has(value))).toEqual([true, false, true]);
});

it.each([
  ['203.0.113.9', '203.0.113.9'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::1', '2001:db8:1:2::/64'],
  ['2001:0db8::7', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['1::', '1:0:0:0::/64'],
  ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  ['no address', 'no address'],
])('counts %s as %s', (address, group) => {
  expect(addressGroup(address)).toBe(group);
});
