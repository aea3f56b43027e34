/**
 * The slow path: any record whatever, through a tree and a flat list of leaves, with every rule of
 * docs/decisions/001-event-shape.md spelled out. What the fast path takes must come out the same here.
 */
import { isUtf8 } from 'node:buffer';
import type { EventBlock } from '../../encode/event-block.ts';
import type { ByteRange } from '../../encode/event-row.ts';
import type { ParseOutcome } from '../parse-outcome.ts';
import type { FieldWriter } from './field-writer.ts';
import { FIELDS, type Field, FieldKind } from './fields.ts';
import { flatten, KNOWN_BY_PATH, type Leaf } from './flatten.ts';
import { ThreatReader } from './threat-reader.ts';
import { compactText, JsonReader, type JsonValue } from './value.ts';

const BYTE_ORDER_MARK = '\ufeff';
/** Lone surrogates only: those in pairs make up a code point. */
const LONE_SURROGATE = /\p{Surrogate}/u;

interface Candidate {
  readonly leaf: Leaf;
  /** Lower is better: names of the top level before those of metadata, each in the table's order. */
  readonly rank: number;
}

const METADATA_RANK = 1000;

export class SlowParser {
  /** Why the record parsed last is no event. */
  failureDetail = '';
  readonly #block: EventBlock;
  readonly #writer: FieldWriter;
  readonly #reader = new JsonReader();
  readonly #threats: ThreatReader;
  readonly #range: ByteRange = { start: 0, end: 0 };

  constructor(block: EventBlock, writer: FieldWriter) {
    this.#block = block;
    this.#writer = writer;
    this.#threats = new ThreatReader(block, (text) => this.#bytes(text));
  }

  /**
   * Sets the open row, which must be clear, from the object that fills `source[range)`. Whoever calls has seen its
   * brace: what starts otherwise is a line of text, not JSON.
   */
  parse(source: Uint8Array, range: ByteRange): ParseOutcome {
    this.#writer.reset();
    const bytes = Buffer.from(source.subarray(range.start, range.end));
    const decoded = bytes.toString('utf8');
    const value = this.#reader.read(decoded.startsWith(BYTE_ORDER_MARK) ? decoded.slice(1) : decoded);
    if ('reason' in value) {
      this.failureDetail = value.detail;
      return value.reason;
    }
    if (value.kind !== 'object') {
      this.failureDetail = `expected an object, found ${value.kind}`;
      return 'malformed_json';
    }
    if (!isUtf8(bytes)) this.#block.textRepaired();
    const leaves = flatten(value.members);
    this.#setMetadata(leaves, this.#setFields(leaves));
    return 'event';
  }

  /** Sets every field from its best acceptable leaf; gives the leaves that are done with. */
  #setFields(leaves: readonly Leaf[]): Set<Leaf> {
    const done = new Set<Leaf>();
    const byField = new Map<Field, Candidate[]>();
    for (const leaf of leaves) {
      const field = fieldOf(leaf);
      if (field === undefined) continue;
      if (isEmpty(leaf)) {
        // At the top level an empty value is no value; in metadata it stays what it is.
        if (leaf.scope === '') done.add(leaf);
        continue;
      }
      const candidates = byField.get(field) ?? [];
      candidates.push({ leaf, rank: rankOf(leaf) });
      byField.set(field, candidates);
    }
    for (const [field, candidates] of byField) {
      const best = candidates.toSorted((left, right) => left.rank - right.rank);
      const winner = best.find(({ leaf }) => this.#accepts(field, leaf.value));
      if (winner !== undefined && !this.#threats.isPartial) done.add(winner.leaf);
      if (winner === undefined && field.kind === FieldKind.time) this.#block.timeUnreadable();
    }
    return done;
  }

  #accepts(field: Field, value: JsonValue): boolean {
    this.#threats.isPartial = false;
    if (field.kind === FieldKind.threats) return value.kind === 'array' && this.#threats.read(value.items);
    if (value.kind === 'array' || value.kind === 'object') return false;
    const bytes = this.#bytes(value.text);
    this.#range.end = bytes.length;
    return this.#writer.set(field, bytes, this.#range);
  }

  /** Puts what is left into metadata; a member of `metadata` whose key is taken keeps its full path. */
  #setMetadata(leaves: readonly Leaf[], done: ReadonlySet<Leaf>): void {
    const taken = new Set<string>();
    for (const isTop of [true, false]) {
      for (const leaf of leaves) {
        if ((leaf.scope === '') !== isTop || done.has(leaf)) continue;
        const key = taken.has(leaf.path) ? `${leaf.scope}.${leaf.path}` : leaf.path;
        taken.add(key);
        const keyBytes = this.#bytes(key);
        if (!this.#block.metadataKey(keyBytes, 0, keyBytes.length)) continue;
        const { value } = leaf;
        const bytes = this.#bytes(value.kind === 'array' ? compactText(value) : value.text);
        this.#block.metadataValue(bytes, 0, bytes.length);
      }
    }
  }

  /** UTF-8 of `text`; lone surrogates become U+FFFD and flag the row. */
  #bytes(text: string): Uint8Array {
    if (LONE_SURROGATE.test(text)) this.#block.textRepaired();
    return Buffer.from(text);
  }
}

function fieldOf({ path, scope }: Leaf): Field | undefined {
  const known = KNOWN_BY_PATH.get(path);
  const field = known === undefined ? undefined : FIELDS[known.field];
  return scope === '' || field?.isPromoted === true ? field : undefined;
}

function rankOf({ path, scope }: Leaf): number {
  return (KNOWN_BY_PATH.get(path)?.rank ?? 0) + (scope === '' ? 0 : METADATA_RANK);
}

function isEmpty({ value }: Leaf): boolean {
  return value.kind === 'string' && value.text === '';
}
