/**
 * Changes of one API key at the same time, in one program and in two: none undoes another.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type ApiKey, type ApiKeyChange, ApiKeyTable } from '../../src/api/api-keys/api-keys.ts';
import { MillraceError } from '../../src/errors.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { interrupted } from '../support/interrupted.ts';

const by = { changedBy: 'test' };
let clickhouse: TestClickHouse;
let keys: ApiKeyTable;
let key: ApiKey;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  keys = new ApiKeyTable(clickhouse.store);
});

afterAll(() => clickhouse.stop());

beforeEach(async () => {
  ({ key } = await keys.add({ name: 'shipper', role: 'analyst', scope: {} }, 'test'));
});

const CHANGES: readonly ApiKeyChange[] = [
  { role: 'viewer' },
  { scope: { services: ['web'] } },
  { expiresMs: 4_000_000_000_000 },
];

it('two at once in one program: both are kept', async () => {
  await Promise.all([...CHANGES, { name: 'n' }].map((change) => keys.change(key.id, change, by)));
  const wanted = Object.assign({ name: 'n' }, ...CHANGES) as object;
  expect(await keys.find(key.id)).toMatchObject({ ...wanted, hash: key.hash, isRevoked: false });
});

it('two at once in one program, both meant for the same version: the second is refused', async () => {
  const check = ({ version }: ApiKey): void => {
    if (version !== key.version) throw new MillraceError('precondition_failed', 'changed');
  };
  const results = await Promise.allSettled([
    keys.change(key.id, { role: 'viewer' }, { ...by, check }),
    keys.change(key.id, { name: 'n' }, { ...by, check }),
  ]);
  expect(results).toMatchObject([
    { status: 'fulfilled', value: { role: 'viewer', name: 'shipper' } },
    { status: 'rejected', reason: { code: 'precondition_failed' } },
  ]);
  expect(await keys.find(key.id)).toMatchObject({ role: 'viewer', name: 'shipper' });
});

it.each(['query', 'insert'] as const)('what another program does at the %s is kept', async (moment) => {
  for (const change of CHANGES) {
    const store = interrupted(clickhouse.store, moment, () => keys.change(key.id, change, by));
    const after = await new ApiKeyTable(store).change(key.id, { name: 'n' }, by);
    expect(after).toMatchObject({ ...change, name: 'n', hash: key.hash });
    expect(await keys.find(key.id)).toEqual(after);
    await keys.change(key.id, { name: 'shipper' }, by);
  }
});

it.each(['query', 'insert'] as const)(
  'revoked by another program at the %s, a key stays so',
  async (moment) => {
    const store = interrupted(clickhouse.store, moment, () => keys.change(key.id, { isRevoked: true }, by));
    const changing = new ApiKeyTable(store).change(key.id, { name: 'n' }, by);
    await expect(changing).rejects.toMatchObject({ code: 'unprocessable' });
    expect(await keys.find(key.id)).toMatchObject({ isRevoked: true });
  },
);
