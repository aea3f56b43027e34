/**
 * Writing and reading of Kafka's flexible encoding (KIP-482), which kafkajs knows only in part: lengths are unsigned
 * varints, one more than what they count, and every structure ends in tagged fields.
 */
import { MillraceError } from '../errors.ts';

const UUID_BYTES = 16;
const VARINT_MAX_SHIFT = 28;

/** A request that kafkajs can send: `encode` gives what it takes for one of its encoders. */
export interface ProtocolRequest<T> {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
  };
  readonly response: {
    readonly decode: (payload: Buffer) => Promise<T>;
    readonly parse: (answer: T) => Promise<T>;
  };
}

export interface RequestParts<T> {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  /** Without the header. */
  readonly body: Buffer;
  /** Of what follows the header. */
  readonly decode: (payload: FlexibleReader) => T;
}

/** kafkajs writes and reads the old headers: the tagged fields that end the new ones belong to the bodies here. */
export function flexibleRequest<T>(parts: RequestParts<T>): ProtocolRequest<T> {
  const { body, decode, ...request } = parts;
  const bytes = Buffer.concat([Buffer.of(0), body]);
  return {
    request: { ...request, encode: () => Promise.resolve({ buf: bytes, buffer: bytes }) },
    response: {
      decode: (payload) => {
        const reader = new FlexibleReader(payload);
        reader.skipTags();
        return Promise.resolve(decode(reader));
      },
      parse: (answer) => Promise.resolve(answer),
    },
  };
}

export class FlexibleWriter {
  readonly #parts: Buffer[] = [];

  int8(value: number): this {
    return this.raw(Buffer.of(value & 0xff));
  }

  int32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return this.raw(bytes);
  }

  int64(value: bigint): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(value);
    return this.raw(bytes);
  }

  /** As Kafka prints it: base64url without padding; empty: none. */
  uuid(id: string): this {
    const bytes = Buffer.alloc(UUID_BYTES);
    Buffer.from(id, 'base64url').copy(bytes);
    return this.raw(bytes);
  }

  string(text: string): this {
    const bytes = Buffer.from(text);
    return this.#varint(bytes.length + 1).raw(bytes);
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.#varint(items.length + 1);
    for (const item of items) write(item);
    return this;
  }

  noTags(): this {
    return this.int8(0);
  }

  raw(bytes: Buffer): this {
    this.#parts.push(bytes);
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #varint(value: number): this {
    let rest = value;
    for (; rest >= 0x80; rest >>>= 7) this.int8((rest & 0x7f) | 0x80);
    return this.int8(rest);
  }
}

/** Every method moves on; what the bytes do not hold throws `bus_unavailable`. */
export class FlexibleReader {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int8(): number {
    return this.raw(1).readInt8();
  }

  int16(): number {
    return this.raw(2).readInt16BE();
  }

  int32(): number {
    return this.raw(4).readInt32BE();
  }

  int64(): bigint {
    return this.raw(8).readBigInt64BE();
  }

  /** As Kafka prints it; the id of zeros, which stands for none, is empty. */
  uuid(): string {
    const bytes = this.raw(UUID_BYTES);
    return bytes.every((byte) => byte === 0) ? '' : bytes.toString('base64url');
  }

  /** Empty for null. */
  string(): string {
    return this.bytes().toString();
  }

  /** A view, not a copy; empty for null. */
  bytes(): Buffer {
    return this.raw(Math.max(0, this.#varint() - 1));
  }

  /** Empty for null. */
  array<T>(read: () => T): T[] {
    const items: T[] = [];
    const count = this.#varint() - 1;
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  skipTags(): void {
    const count = this.#varint();
    for (let i = 0; i < count; i++) {
      this.#varint();
      this.raw(this.#varint());
    }
  }

  raw(length: number): Buffer {
    const end = this.#position + length;
    if (end > this.#bytes.length)
      throw new MillraceError('bus_unavailable', 'Cannot read an answer of Kafka: it ends too early.');
    const view = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return view;
  }

  #varint(): number {
    let value = 0;
    for (let shift = 0; shift <= VARINT_MAX_SHIFT; shift += 7) {
      const byte = this.raw(1).readUInt8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new MillraceError('bus_unavailable', 'Cannot read an answer of Kafka: a length has no end.');
  }
}
