/**
 * The secret that signs cursors. It stands in the database: a page may be asked of one program and the next of another.
 */
import { randomBytes } from 'node:crypto';
import { MillraceError } from '../errors.ts';
import type { Store } from './clickhouse-client.ts';
import { withMutex } from './mutex.ts';

const SECRET_BYTES = 32;
const HEX_SECRET = new RegExp(`^[0-9a-f]{${2 * SECRET_BYTES}}$`);

/** The same for all programs, made by the first: 32 bytes. Throws `config_invalid` for what no program wrote. */
export async function readCursorSecret(store: Store): Promise<Buffer> {
  const known = await findSecret(store);
  if (known !== undefined) return known;
  return await withMutex(store, { name: 'cursor_secret' }, async () => {
    const made = await findSecret(store);
    if (made !== undefined) return made;
    const secret = randomBytes(SECRET_BYTES);
    await store.insertJson('cursor_secret', [{ secret: secret.toString('hex') }]);
    return secret;
  });
}

async function findSecret(store: Store): Promise<Buffer | undefined> {
  const sql = 'SELECT secret FROM cursor_secret ORDER BY made_at, secret LIMIT 1';
  const [row] = await store.query<{ secret: string }>(sql);
  if (row === undefined) return undefined;
  if (HEX_SECRET.test(row.secret)) return Buffer.from(row.secret, 'hex');
  throw new MillraceError('config_invalid', 'Table cursor_secret does not hold 64 hexadecimal digits.');
}
