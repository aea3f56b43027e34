/**
 * A JSON object as a flat list: one leaf for each scalar and array, under its dotted path.
 * Of leaves with one path the last wins, and a null takes back what came before it. Empty objects leave nothing.
 */
import { FIELDS, FieldKind, KNOWN_NAMES, type KnownName } from './fields.ts';
import { compactText, type JsonMember, type JsonValue } from './value.ts';

/**
 * An object whose own path is longer than this is kept as its JSON text. Without a limit a record of a megabyte
 * could say a long path once and have it repeated for each of a hundred thousand members.
 */
export const MAX_PREFIX_CHARACTERS = 128;

export type LeafValue = Exclude<JsonValue, { readonly kind: 'object' }>;

export interface Leaf {
  /** Dotted path; of members of `metadata`, the path inside it. */
  readonly path: string;
  /** Name of the metadata object that the leaf stands in; '' for the top level. */
  readonly scope: string;
  readonly value: LeafValue;
}

/** The known names by path. */
export const KNOWN_BY_PATH: ReadonlyMap<string, KnownName> = new Map(
  KNOWN_NAMES.map((known) => [known.path, known]),
);

/** Leaves in the order of the document. */
export function flatten(members: readonly JsonMember[]): Leaf[] {
  const leaves = new Map<string, Leaf>();
  for (const { key, value } of members) {
    if (value.kind === 'object' && isMetadataName(key))
      walkMembers(leaves, value.members, { scope: key, prefix: '' });
    else walk(leaves, value, { scope: '', path: key });
  }
  return [...leaves.values()].filter(({ value }) => value.kind !== 'null');
}

function isMetadataName(key: string): boolean {
  const known = KNOWN_BY_PATH.get(key);
  return known !== undefined && FIELDS[known.field]?.kind === FieldKind.metadata;
}

function walk(leaves: Map<string, Leaf>, value: JsonValue, place: { scope: string; path: string }): void {
  const { scope, path } = place;
  if (value.kind !== 'object') {
    setLeaf(leaves, { path, scope, value });
  } else if (path.length <= MAX_PREFIX_CHARACTERS) {
    walkMembers(leaves, value.members, { scope, prefix: `${path}.` });
  } else if (value.members.length > 0) {
    const raw = compactText(value);
    setLeaf(leaves, { path, scope, value: { kind: 'string', text: raw, raw } });
  }
}

function setLeaf(leaves: Map<string, Leaf>, leaf: Leaf): void {
  const address = `${leaf.scope}\0${leaf.path}`;
  leaves.delete(address);
  leaves.set(address, leaf);
}

function walkMembers(
  leaves: Map<string, Leaf>,
  members: readonly JsonMember[],
  place: { scope: string; prefix: string },
): void {
  for (const { key, value } of members) {
    walk(leaves, value, { scope: place.scope, path: place.prefix + key });
  }
}
