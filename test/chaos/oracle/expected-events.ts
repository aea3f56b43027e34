/**
 * What the seeded producer makes, known without asking anybody: for each sequence number the checksum of the fields
 * that must be stored and that of the bytes that went over the wire.
 */
import { crc32 } from 'node:zlib';
import { createGenerator, type Generator, type GeneratorOptions } from '../../../src/produce/generator.ts';

/** Sequence numbers set aside for each load. */
export const SEQS_PER_LOAD = 100_000_000;

export interface ExpectedEvent {
  /** As `hashEvent`. */
  readonly hash: number;
  /** CRC-32 of the record's value. */
  readonly valueCrc: number;
}

/** The events of one load, made again as far as they are asked for. */
class RepeatedLoad {
  readonly #generator: Generator;
  readonly #firstSeq: number;
  readonly #hashes: number[] = [];
  readonly #valueCrcs: number[] = [];

  constructor(options: GeneratorOptions) {
    this.#generator = createGenerator(options);
    this.#firstSeq = options.firstSeq ?? 1;
  }

  event(seq: number): ExpectedEvent {
    const index = seq - this.#firstSeq;
    while (this.#hashes.length <= index) {
      const { hash, value } = this.#generator.next();
      this.#hashes.push(hash);
      this.#valueCrcs.push(crc32(value));
    }
    return { hash: this.#hashes[index] ?? 0, valueCrc: this.#valueCrcs[index] ?? 0 };
  }
}

export class ExpectedEvents {
  readonly #loads = new Map<number, RepeatedLoad>();

  /** `firstSeq` begins a stretch of SEQS_PER_LOAD numbers of its own. */
  add(options: GeneratorOptions): void {
    this.#loads.set(Math.floor((options.firstSeq ?? 1) / SEQS_PER_LOAD), new RepeatedLoad(options));
  }

  /** Undefined: no load has this number. */
  find(seq: number): ExpectedEvent | undefined {
    return this.#loads.get(Math.floor(seq / SEQS_PER_LOAD))?.event(seq);
  }
}
