/** Threats from the tree of the slow path: objects of name, severity and tags, or bare names. */
import type { EventBlock } from '../../encode/event-block.ts';
import type { ByteRange } from '../../encode/event-row.ts';
import { ThreatWriter } from './threat-writer.ts';
import type { JsonMember, JsonValue } from './value.ts';

type Part = (source: Uint8Array, range: ByteRange) => void;

export class ThreatReader {
  /** The array read last holds more than the threats say; its text is to be kept beside them. */
  isPartial = false;
  readonly #writer: ThreatWriter;
  readonly #encode: (text: string) => Uint8Array;

  constructor(block: EventBlock, encode: (text: string) => Uint8Array) {
    this.#writer = new ThreatWriter(block);
    this.#encode = encode;
  }

  /** Adds the threats among `items`; false when there are items but no threat. */
  read(items: readonly JsonValue[]): boolean {
    this.isPartial = false;
    let count = 0;
    for (const item of items) {
      const parts = item.kind === 'object' ? lastOfEach(item.members) : new Map([['name', item]]);
      if (!hasThreat(parts)) {
        this.isPartial = true;
        continue;
      }
      count += 1;
      this.#writer.begin();
      for (const [name, value] of parts) this.#part(name, value);
    }
    return count > 0 || items.length === 0;
  }

  #part(name: string, value: JsonValue): void {
    if (value.kind === 'null') return;
    if (name === 'name' && isText(value))
      this.#put(value, (source, range) => this.#writer.name(source, range));
    else if (name === 'severity' && isText(value))
      this.#put(value, (source, range) => this.#writer.severity(source, range));
    else if (name === 'tags' && value.kind === 'array') this.#tags(value.items);
    else if (name === 'tags' && isText(value)) this.#tags([value]);
    else this.isPartial = true;
  }

  #tags(items: readonly JsonValue[]): void {
    for (const item of items) {
      if (item.kind === 'null') continue;
      if (isText(item)) this.#put(item, (source, range) => this.#writer.tag(source, range));
      else this.isPartial = true;
    }
  }

  #put(value: { readonly text: string }, put: Part): void {
    const bytes = this.#encode(value.text);
    put(bytes, { start: 0, end: bytes.length });
  }
}

function lastOfEach(members: readonly JsonMember[]): Map<string, JsonValue> {
  return new Map(members.map(({ key, value }) => [key, value]));
}

/** Whether anything of the parts can be stored in a threat. */
function hasThreat(parts: ReadonlyMap<string, JsonValue>): boolean {
  const tags = parts.get('tags');
  return [parts.get('name'), parts.get('severity'), tags].some(isText) || tags?.kind === 'array';
}

function isText(value: JsonValue | undefined): value is JsonValue & { readonly text: string } {
  return value?.kind === 'string' || value?.kind === 'number';
}
