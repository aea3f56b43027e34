/**
 * Lets kafkajs send a record batch that is already encoded: it travels as the value of one pseudo-message, and
 * the two encoders that meet it hand it through. What kafkajs encodes itself goes the stock way.
 */

/** A whole RecordBatch v2. Looks to kafkajs like its Encoder. */
export class EncodedBatch {
  readonly buf: Buffer;

  constructor(bytes: Buffer) {
    this.buf = bytes;
  }

  get buffer(): Buffer {
    return this.buf;
  }

  size(): number {
    return this.buf.length;
  }
}

type EncodeRecord = (record: { readonly value?: unknown }) => unknown;

/** For `protocol/recordBatch/record/v0`. */
export function passEncodedRecord(encode: EncodeRecord): EncodeRecord {
  return (record) => (record.value instanceof EncodedBatch ? record.value : encode(record));
}

interface BatchEncoder {
  readonly RecordBatch: (batch: { readonly records?: readonly unknown[] }) => Promise<unknown>;
}

/** For `protocol/recordBatch/v0`. */
export function passEncodedBatch(original: BatchEncoder): BatchEncoder {
  return {
    ...original,
    RecordBatch: (batch) => {
      const first = batch.records?.[0];
      return first instanceof EncodedBatch ? Promise.resolve(first) : original.RecordBatch(batch);
    },
  };
}
