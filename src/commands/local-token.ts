/**
 * Access to the API for whoever may read the data directory: its signing key is there, so a token for one call
 * can be made without a password.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadApiKeys } from '../api/auth/key-files.ts';
import { Tokens } from '../api/auth/tokens.ts';
import type { Role } from '../api/route.ts';

/** Where the API of a data directory keeps its keys. */
export function apiKeysDir(dataDir: string): string {
  return join(dataDir, 'keys');
}

/** A function that makes tokens, or undefined where there are no keys to make them with. */
export function localTokenSource(dataDir: string, role: Role): (() => Promise<string>) | undefined {
  const keysDir = apiKeysDir(dataDir);
  if (!existsSync(keysDir)) return undefined;
  const tokens = new Tokens(loadApiKeys(keysDir).signing);
  return () => Promise.resolve(tokens.issue({ username: 'command-line', role, version: 0 }).accessToken);
}
