/**
 * Keys of JSON objects, by the object they stand in: the known names of fields.ts and, up to a limit,
 * every other key that was met. An entry says which field its value is, where the members of its object are
 * looked up, and its dotted path, which is its name in `metadata`.
 * Entries remember which key came after them last time: events of one kind have their keys in one order, so
 * a key is usually found by comparing it with the expected one.
 */
import { ByteBuffer, focus, hashBytes } from '../../encode/bytes.ts';
import type { ByteRange } from '../../encode/event-row.ts';
import { FIELDS, type Field, FieldKind, KNOWN_NAMES } from './fields.ts';
import { MAX_PREFIX_CHARACTERS } from './flatten.ts';

const MAX_ENTRIES = 4096;
const SLOT_COUNT = 16_384;
const SLOT_MASK = SLOT_COUNT - 1;
const MAX_PROBES = 64;
const MAX_PATH_BYTES = 160;
/** A record that finds fewer free entries than this clears what was learned. */
const RESERVE_ENTRIES = 512;
/** The `":` after a key. */
const TOKEN_BYTES = 2;
const QUOTE = 0x22;
const COLON = 0x3a;
const DOT = 0x2e;

/** The keys of one kind of object. */
export interface KeyNode {
  readonly id: number;
  readonly isMetadata: boolean;
  /** Entry that stands for the `{`: its `next` is the key that came first last time. */
  readonly head: KeyEntry;
  /** Entry whose path is the prefix of the keys; absent for the event itself and `metadata`. */
  readonly parent: KeyEntry | undefined;
}

/** One key of one kind of object. */
export class KeyEntry {
  readonly nodeId: number;
  /** True for members of `metadata`. */
  readonly isMetadata: boolean;
  /** Where its path starts in `paths`, where its last part (the key) starts, where both end. */
  pathStart = 0;
  keyStart = 0;
  pathEnd = 0;
  /** Bytes of the key with its `":`; more than any record has for an entry that is no key. */
  tokenBytes = 0x3fff_ffff;
  /** First and last four of them. */
  firstWord = 0;
  lastWord = 0;
  field: Field | undefined = undefined;
  /** Whether `field` is a text of low cardinality. */
  isLabel = false;
  /** Where members of the object that is its value are looked up. */
  child: KeyNode | undefined = undefined;
  /** The entry that followed it last. */
  next: KeyEntry;
  /** Number of its path among the block's metadata keys, in the generation it was asked for. */
  metadataIndex = 0;
  metadataGeneration = -1;

  constructor(nodeId: number, isMetadata: boolean) {
    this.nodeId = nodeId;
    this.isMetadata = isMetadata;
    this.next = this;
  }
}

export class KeyTable {
  /** Paths of all entries, each with the `":` that follows its key in compact JSON. */
  readonly paths = new ByteBuffer(MAX_ENTRIES * MAX_PATH_BYTES);
  readonly #slots = new Uint16Array(SLOT_COUNT);
  readonly #entries: KeyEntry[] = [];
  #nodeCount = 0;
  #top: KeyNode;

  constructor() {
    this.#top = this.#build();
  }

  /** The event itself. */
  get top(): KeyNode {
    return this.#top;
  }

  /** Entry of the key `source[range)` in `node`, made when there is none; undefined when there is no room. */
  find(node: KeyNode, source: Uint8Array, range: ByteRange): KeyEntry | undefined {
    const { start, end } = range;
    let slot = (hashBytes(source, start, end) ^ Math.imul(node.id, 0x9e3779b1)) & SLOT_MASK;
    for (let probes = 0; probes < MAX_PROBES; probes += 1) {
      const index = this.#slots[slot] as number;
      const entry = this.#entries[index];
      if (index === 0 || entry === undefined) return this.#add(node, source, range, slot);
      if (entry.nodeId === node.id && this.#isKey(entry, source, range)) return entry;
      slot = (slot + 1) & SLOT_MASK;
    }
    return undefined;
  }

  /** The keys of the object that is the value of `entry`; undefined when there is no room. */
  childOf(entry: KeyEntry): KeyNode | undefined {
    if (entry.child === undefined && this.#nodeCount < MAX_ENTRIES) {
      entry.child = this.#addNode(entry, entry.isMetadata);
    }
    return entry.child;
  }

  /** Whether the key that starts at `at` of the source in focus, which ends at `end`, is that of `entry`, with its `":`. */
  matches(entry: KeyEntry, at: number, end: number): boolean {
    const { tokenBytes } = entry;
    if (at + tokenBytes > end) return false;
    if (tokenBytes < 4) return this.#matchesShort(entry, at);
    const { view } = focus;
    const last = at + tokenBytes - 4;
    if (view.getInt32(at, true) !== entry.firstWord || view.getInt32(last, true) !== entry.lastWord)
      return false;
    const paths = this.paths.view;
    const shift = entry.keyStart - at;
    for (let from = at + 4; from < last; from += 4) {
      if (view.getInt32(from, true) !== paths.getInt32(from + shift, true)) return false;
    }
    return true;
  }

  /** To be called between records: forgets what was learned when little room is left. */
  makeRoom(): void {
    if (this.#entries.length > MAX_ENTRIES - RESERVE_ENTRIES || this.#nodeCount > MAX_ENTRIES / 2) {
      this.#top = this.#build();
    }
  }

  #build(): KeyNode {
    this.#slots.fill(0);
    this.#entries.length = 0;
    // Index 0 of a slot says that it is free.
    this.#entries.push(new KeyEntry(-1, false));
    this.#nodeCount = 0;
    this.paths.length = 0;
    const top = this.#addNode(undefined, false);
    const metadata = this.#addNode(undefined, true);
    for (const known of KNOWN_NAMES) {
      const field = FIELDS[known.field] as Field;
      this.#addKnown(top, known.path, field);
      if (field.isPromoted) this.#addKnown(metadata, known.path, field);
      if (field.kind === FieldKind.metadata) this.#ensure(top, known.path).child = metadata;
    }
    return top;
  }

  /** Adds a path whole, and again under each object that its dots can mean. */
  #addKnown(node: KeyNode, path: string, field: Field): void {
    const entry = this.#ensure(node, path);
    entry.field ??= field;
    entry.isLabel = entry.field.isLabel;
    for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
      const child = this.childOf(this.#ensure(node, path.slice(0, dot)));
      if (child !== undefined) this.#addKnown(child, path.slice(dot + 1), field);
    }
  }

  #ensure(node: KeyNode, key: string): KeyEntry {
    const bytes = new TextEncoder().encode(key);
    const entry = this.find(node, bytes, { start: 0, end: bytes.length });
    if (entry === undefined) throw new RangeError('the names of fields.ts exceed the key table');
    return entry;
  }

  #addNode(parent: KeyEntry | undefined, isMetadata: boolean): KeyNode {
    const id = this.#nodeCount;
    this.#nodeCount = id + 1;
    return { id, isMetadata, head: new KeyEntry(-1, isMetadata), parent };
  }

  // oxlint-disable-next-line max-params -- one more than three, to spare a second probe
  #add(node: KeyNode, source: Uint8Array, range: ByteRange, slot: number): KeyEntry | undefined {
    const { start, end } = range;
    const { paths } = this;
    const { parent } = node;
    const prefixBytes = parent === undefined ? 0 : parent.pathEnd - parent.pathStart + 1;
    const index = this.#entries.length;
    if (index === MAX_ENTRIES || prefixBytes + end - start + TOKEN_BYTES > MAX_PATH_BYTES) return undefined;
    if (prefixBytes > MAX_PREFIX_CHARACTERS + 1) return undefined;
    const entry = new KeyEntry(node.id, node.isMetadata);
    entry.pathStart = paths.length;
    if (parent !== undefined) {
      paths.append(paths.bytes, parent.pathStart, parent.pathEnd);
      paths.bytes[paths.length++] = DOT;
    }
    entry.keyStart = paths.length;
    paths.append(source, start, end);
    entry.pathEnd = paths.length;
    paths.bytes[paths.length++] = QUOTE;
    paths.bytes[paths.length++] = COLON;
    entry.tokenBytes = paths.length - entry.keyStart;
    if (entry.tokenBytes >= 4) {
      entry.firstWord = paths.view.getInt32(entry.keyStart, true);
      entry.lastWord = paths.view.getInt32(paths.length - 4, true);
    }
    this.#entries.push(entry);
    this.#slots[slot] = index;
    return entry;
  }

  #isKey(entry: KeyEntry, source: Uint8Array, range: ByteRange): boolean {
    const { start, end } = range;
    if (entry.pathEnd - entry.keyStart !== end - start) return false;
    return this.paths.equals(entry.keyStart, source, start, end);
  }

  #matchesShort(entry: KeyEntry, at: number): boolean {
    const { bytes } = this.paths;
    for (let index = 0; index < entry.tokenBytes; index += 1) {
      if (bytes[entry.keyStart + index] !== focus.source[at + index]) return false;
    }
    return true;
  }
}
