import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CliResult, runCli } from '../support/cli.ts';

let dataDir = '';
beforeAll(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-user-'));
});
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

function run(args: readonly string[], input = ''): Promise<CliResult> {
  return runCli([...args, '--data-dir', dataDir, '--json'], { input });
}

describe('commands on a data directory without a running program', () => {
  test('migrate applies everything once', async () => {
    const first = await run(['migrate']);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(first.stdout).applied).toEqual(expect.arrayContaining(['001-logs']));
    expect(JSON.parse((await run(['migrate'])).stdout)).toEqual({ applied: [] });
  });

  test('user add, list and passwd take the password from standard input', async () => {
    const added = await run(['user', 'add', 'anna', '--role', 'analyst'], 'correct-horse\n');
    expect(added).toMatchObject({ code: 0, stdout: '{"name":"anna","role":"analyst"}\n' });
    const again = await run(['user', 'add', 'anna', '--password-file', '-'], 'correct-horse\n');
    expect(again.code).toBe(1);
    expect(JSON.parse(again.stderr)).toMatchObject({ status: 409, code: 'already_exists' });
    const listed = JSON.parse((await run(['user', 'list'])).stdout);
    expect(listed.data).toMatchObject([{ name: 'anna', role: 'analyst', disabled: false }]);
    expect((await run(['user', 'passwd', 'anna'], 'battery-staple\n')).code).toBe(0);
    expect((await run(['user', 'passwd', 'nobody'], 'battery-staple\n')).code).toBe(1);
    const empty = await run(['user', 'passwd', 'anna']);
    expect(empty.code).toBe(2);
    expect(empty.stderr).toContain('no password was given');
  });

  test('user disable and enable switch a user off and on, and add takes a scope', async () => {
    expect((await run(['user', 'disable', 'anna'])).stdout).toBe('{"name":"anna","disabled":true}\n');
    expect(JSON.parse((await run(['user', 'list'])).stdout).data).toMatchObject([{ disabled: true }]);
    expect((await run(['user', 'enable', 'anna'])).code).toBe(0);
    const scoped = ['--role', 'writer', '--service', 'web', 'db', '--host', 'a'];
    expect((await run(['user', 'add', 'carl', ...scoped], 'correct-horse\n')).stdout).toBe(
      '{"name":"carl","role":"writer","scope":{"services":["web","db"],"hosts":["a"]}}\n',
    );
  });

  test('key add shows the key once, list has it without, and revoke ends it', async () => {
    const added = await run(['key', 'add', 'shipper', '--service', 'web', '--expires', 'now+90d']);
    const { id, key, ...rest } = JSON.parse(added.stdout);
    expect(rest).toMatchObject({ name: 'shipper', role: 'writer', scope: { services: ['web'] } });
    expect(key).toMatch(new RegExp(`^mr_${id}_[\\w-]{43}$`));
    const listed = await run(['key', 'list']);
    expect(listed.stdout).not.toContain(key);
    const active = { id, status: 'active', last_used_at: null, scope: { services: ['web'] } };
    expect(JSON.parse(listed.stdout).data).toMatchObject([active]);
    expect(await run(['key', 'revoke', key])).toMatchObject({
      code: 0,
      stdout: `{"id":"${id}","revoked":true}\n`,
    });
    expect(JSON.parse((await run(['key', 'list'])).stdout).data).toMatchObject([{ id, status: 'revoked' }]);
    const again = await run(['key', 'revoke', id]);
    expect(again.code).toBe(1);
    expect(JSON.parse(again.stderr)).toMatchObject({ code: 'unprocessable' });
  });

  test('keys rotate makes another key, and ends the old one only when told', async () => {
    const first = JSON.parse((await run(['keys', 'rotate'])).stdout);
    const second = JSON.parse((await run(['keys', 'rotate', '--revoke'])).stdout);
    expect(first).toMatchObject({ id: expect.stringMatching(/^[\w-]{43}$/), revoked: false });
    expect(second).toMatchObject({ previous: first.id, revoked: true });
    expect(second.id).not.toBe(first.id);
  });

  test.each([
    [['user', 'add', 'a b'], 'A user name has 1 to 64'],
    [['user', 'add', 'berta'], 'A password must have 8 to 256'],
    [['user', 'passwd', 'anna'], 'A password must have 8 to 256'],
    [['user', 'add', 'root', '--role', 'admin', '--host', 'a'], 'An admin has no scope'],
    [['key', 'add', 'x', '--expires', 'now-1d'], '--expires must be later than now'],
    [['key', 'add', 'x', '--expires', 'soon'], '--expires must be a time like'],
    [['key', 'add', 'x', '--role', 'admin'], 'Allowed choices are analyst, viewer, writer'],
    [['key', 'add', 'x', '--service', ''], 'A scope lists 1 to 100 names'],
    [['key', 'revoke', 'mr_zz'], 'An id of a key has 12 hexadecimal digits'],
    [['user', 'passwd', 'anna', '--password-file', '/nowhere/p'], 'Cannot read \\"/nowhere/p\\": ENOENT'],
  ])('%j with what cannot be is wrong usage', async (args, expected) => {
    const { code, stderr } = await run(args, 'short\n');
    expect(code).toBe(2);
    expect(stderr).toContain(expected);
  });

  test('a data directory that is not there is refused and not made', async () => {
    const missing = join(dataDir, 'mistyped');
    for (const args of [
      ['user', 'list'],
      ['user', 'add', 'x'],
      ['user', 'passwd', 'x'],
    ]) {
      const { code, stderr } = await runCli([...args, '--data-dir', missing], { input: 'correct-horse\n' });
      expect(code).toBe(2);
      expect(stderr).toMatch(/^millrace: There is no data directory "[^\n]+\n$/);
    }
    expect(existsSync(missing)).toBe(false);
  });

  test.each(['/proc/millrace', '/proc/millrace/data'])(
    'a data directory that cannot be made, %s, is one sentence',
    async (path) => {
      const { code, stderr } = await runCli(['migrate', '--data-dir', path]);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^millrace: DATA_DIR cannot be used: [^\n]+\n$/);
    },
  );
});
