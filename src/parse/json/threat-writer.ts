/** Writes the threats of the open row; both JSON parsers go through it. Severities are kept in upper case. */
import { grownTo } from '../../encode/bytes.ts';
import type { EventBlock } from '../../encode/event-block.ts';
import type { ByteRange } from '../../encode/event-row.ts';

/** Members of a threat, as bits. */
export const ThreatPart = { name: 1, severity: 2, tags: 4 } as const;

const PARTS = Object.entries(ThreatPart).map(([name, bit]) => ({
  name: new TextEncoder().encode(name),
  bit,
}));

/** The part that a member's name stands for, 0 for any other name. */
export function threatPartOf(source: Uint8Array, start: number, end: number): number {
  for (const { name, bit } of PARTS) {
    if (name.length !== end - start) continue;
    let at = 0;
    while (at < name.length && name[at] === source[start + at]) at += 1;
    if (at === name.length) return bit;
  }
  return 0;
}

export class ThreatWriter {
  readonly #block: EventBlock;
  readonly #range: ByteRange = { start: 0, end: 0 };
  #buffer = new Uint8Array(64);

  constructor(block: EventBlock) {
    this.#block = block;
  }

  /** Opens the next threat. */
  begin(): void {
    this.#block.threat();
  }

  name(source: Uint8Array, range: ByteRange): void {
    this.#block.threatName(source, range);
  }

  tag(source: Uint8Array, range: ByteRange): void {
    this.#block.threatTag(source, range);
  }

  severity(source: Uint8Array, range: ByteRange): void {
    const { start, end } = range;
    this.#buffer = grownTo(this.#buffer, end - start);
    for (let at = start; at < end; at += 1) {
      const byte = source[at] as number;
      this.#buffer[at - start] = byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
    }
    this.#range.end = end - start;
    this.#block.threatSeverity(this.#buffer, this.#range);
  }
}
