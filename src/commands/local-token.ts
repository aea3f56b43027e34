/**
 * Access to the API for whoever may read the data directory: its signing key is there, so a token for one call
 * can be made without a password.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readSigningKey } from '../api/auth/key-files.ts';
import { signLocalToken } from '../api/auth/tokens.ts';
import type { Role } from '../api/route.ts';

/** Where the API of a data directory keeps its keys. */
export function apiKeysDir(dataDir: string): string {
  return join(dataDir, 'keys');
}

/** A function that makes tokens, or undefined where there are no keys to make them with. */
export function localTokenSource(dataDir: string, role: Role): (() => Promise<string>) | undefined {
  const keysDir = apiKeysDir(dataDir);
  if (!existsSync(keysDir)) return undefined;
  // Read each time: the key may be replaced while a command runs.
  return async () => signLocalToken(readSigningKey(keysDir), role);
}
