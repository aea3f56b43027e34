/**
 * The versions of one thing, newest first, page by page.
 */
import type { Static } from 'typebox';
import { decodeKeyset, encodeKeyset, type KeysetSeal } from './keyset-cursor.ts';
import type { ListQuery } from './list-schemas.ts';

export interface VersionRange {
  /** Only versions below this one. */
  readonly before?: number | undefined;
  readonly limit: number;
}

export interface VersionPage<Version> {
  readonly versions: readonly Version[];
  /** Cursor of the page behind it. */
  readonly next: string | null;
}

/** `seal` must name the thing. */
export async function readVersions<Version extends { readonly version: number }>(
  { limit, cursor }: Static<typeof ListQuery>,
  seal: KeysetSeal,
  read: (range: VersionRange) => Promise<readonly Version[]>,
): Promise<VersionPage<Version>> {
  const before = cursor === undefined ? undefined : Number(decodeKeyset(cursor, seal)[0]);
  const found = await read({ before, limit: limit + 1 });
  const versions = found.slice(0, limit);
  const last = found.length > limit ? versions.at(-1) : undefined;
  return { versions, next: last === undefined ? null : encodeKeyset([last.version], seal) };
}

/** Params of a statement that has `version < {before:UInt64}` and `LIMIT {limit:UInt32}`. */
export function versionParams({ before = Number.MAX_SAFE_INTEGER, limit }: VersionRange) {
  return { before, limit };
}
