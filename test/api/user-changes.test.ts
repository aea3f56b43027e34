/**
 * Changes of one user at the same time, in one program and in two: none undoes another.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createUsers, type UserChange, type Users } from '../../src/api/auth/users.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { interrupted, type Moment } from '../support/interrupted.ts';

const PASSWORD = 'correct horse';
const NEW_PASSWORD = 'battery staple';
const by = { changedBy: 'test' };
let clickhouse: TestClickHouse;
let users: Users;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  users = createUsers(clickhouse.store);
});

afterAll(() => clickhouse.stop());

beforeEach(async () => {
  await clickhouse.store.command('TRUNCATE TABLE users');
  await users.add({ name: 'root', password: PASSWORD, role: 'admin' }, 'test');
  await users.add({ name: 'ann', password: PASSWORD, role: 'admin' }, 'test');
});

function otherProgram(moment: Moment, meanwhile: () => Promise<unknown>): Users {
  return createUsers(interrupted(clickhouse.store, moment, meanwhile));
}

const CHANGES: readonly UserChange[] = [
  { isDisabled: true },
  { role: 'viewer' },
  { role: 'viewer', scope: { services: ['web'] } },
];

it.each(CHANGES)('%j outlasts a change of the password in the same program', async (change) => {
  await Promise.all([users.setPassword('ann', NEW_PASSWORD, 'ann'), users.change('ann', change, by)]);
  expect(await users.find('ann')).toMatchObject(change);
  await users.change('ann', { isDisabled: false }, by);
  expect(await users.verify('ann', NEW_PASSWORD)).toMatchObject({ name: 'ann' });
});

it.each(['query', 'insert'] as const)(
  'what another program does at its %s outlasts a change of the password',
  async (moment) => {
    for (const change of CHANGES) {
      const other = otherProgram(moment, () => users.change('ann', change, by));
      await other.setPassword('ann', NEW_PASSWORD, 'ann');
      expect(await users.find('ann')).toMatchObject(change);
      await users.change('ann', { role: 'admin', scope: {}, isDisabled: false }, by);
      expect(await users.verify('ann', NEW_PASSWORD)).toMatchObject({ role: 'admin' });
      await users.setPassword('ann', PASSWORD, 'test');
    }
    const other = otherProgram(moment, () => users.remove('ann', by));
    await expect(other.setPassword('ann', NEW_PASSWORD, 'ann')).rejects.toMatchObject({ code: 'not_found' });
    expect(await users.find('ann')).toBeUndefined();
    expect(await users.verify('ann', NEW_PASSWORD)).toBeUndefined();
  },
);

it('whose grants are not understood need both role and scope', async () => {
  const row = {
    name: 'eve',
    version: 1,
    password_hash: '',
    grants: '[{"role":"owner"}]',
    is_disabled: false,
  };
  await clickhouse.store.insertJson('users', [{ ...row, is_removed: false, changed_by: 'a later program' }]);
  for (const change of [{ role: 'viewer' }, { scope: { services: ['web'] } }] as const) {
    await expect(users.change('eve', change, by)).rejects.toMatchObject({ code: 'unprocessable' });
  }
  const both = { role: 'viewer', scope: { services: ['web'] } } as const;
  expect(await users.change('eve', both, by)).toMatchObject(both);
});
