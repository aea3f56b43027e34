/**
 * Seals the bytes of dead letters: AES-256-GCM under a key that lies outside the database.
 *
 * Sealed bytes: version (1), key id (8), nonce (12), ciphertext, tag (16). The associated data are version, key id
 * and place of the letter, so that bytes moved to another row do not open. The nonce is synthetic (the idea of
 * RFC 5297): the first 12 bytes of an HMAC-SHA256 over the associated data and the plaintext under a key of its own.
 * So the same letter always gives the same bytes, which parse workers need, and other bytes have another nonce.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { MillraceError } from '../errors.ts';
import { LETTER_CONTENTS, type LetterContent } from '../event/columns.ts';

/** Where a letter stands; all of it is authenticated. */
export interface LetterPlace {
  readonly source: number;
  readonly partition: number;
  readonly offset: number;
  readonly toOffset: number;
  readonly recordTimeUs: number;
  readonly content: LetterContent;
}

export const LETTER_KEY_BYTES = 32;
/** How much longer the sealed bytes are. */
export const SEAL_BYTES = 37;

const VERSION = 1;
const ID_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NONCE_AT = 1 + ID_BYTES;
const BODY_AT = NONCE_AT + NONCE_BYTES;
const HEAD_BYTES = NONCE_AT + 1 + 2 + 8 + 8 + 8 + 1;
const CIPHER = 'aes-256-gcm';

interface LetterKey {
  readonly id: Buffer;
  readonly encryption: KeyObject;
  readonly nonce: KeyObject;
}

/** One per thread. */
export class LetterSeal {
  readonly #keys: readonly LetterKey[];
  readonly #head = Buffer.alloc(HEAD_BYTES);

  /** The first key seals, each opens what it sealed; without any, nothing is. Throws `config_invalid` for a wrong length. */
  constructor(keys: readonly Uint8Array[]) {
    this.#keys = keys.map(deriveKey);
  }

  /** Names of the keys, in hexadecimal, in their order; they stand in all that was sealed and tell nothing of a key. */
  get keyIds(): readonly string[] {
    return this.#keys.map(({ id }) => id.toString('hex'));
  }

  seal(place: LetterPlace, plain: Uint8Array): Uint8Array {
    const [key] = this.#keys;
    if (key === undefined) throw new MillraceError('config_invalid', 'Dead letters need a key.');
    const head = this.#headOf(key, place);
    const nonce = nonceOf(key, head, plain);
    const cipher = createCipheriv(CIPHER, key.encryption, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(head);
    const sealed = Buffer.allocUnsafe(plain.length + SEAL_BYTES);
    head.copy(sealed, 0, 0, NONCE_AT);
    sealed.set(nonce, NONCE_AT);
    sealed.set(cipher.update(plain), BODY_AT);
    cipher.final();
    sealed.set(cipher.getAuthTag(), BODY_AT + plain.length);
    return sealed;
  }

  /** The plaintext. Throws `unprocessable` for another key, and for bytes or a place that were altered. */
  open(place: LetterPlace, sealed: Uint8Array): Uint8Array {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
    if (bytes.length < SEAL_BYTES || bytes[0] !== VERSION) {
      throw unreadable('The letter is not sealed in a way that this version knows.');
    }
    const id = bytes.subarray(1, NONCE_AT);
    const key = this.#keys.find((candidate) => candidate.id.equals(id));
    if (key === undefined) {
      throw unreadable(
        `The letter is sealed with key ${id.toString('hex')}; KEY_FILE holds ${this.keyIds.join(', ') || 'none'}.`,
      );
    }
    const head = this.#headOf(key, place);
    const nonce = bytes.subarray(NONCE_AT, BODY_AT);
    const decipher = createDecipheriv(CIPHER, key.encryption, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(head);
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const plain = decipher.update(bytes.subarray(BODY_AT, -TAG_BYTES));
    try {
      decipher.final();
    } catch (error) {
      throw unreadable('The letter was altered since it was sealed.', error);
    }
    if (timingSafeEqual(nonceOf(key, head, plain), nonce)) return plain;
    throw unreadable('The letter was altered since it was sealed.');
  }

  /** The associated data; they hold until the next call. */
  #headOf(key: LetterKey, place: LetterPlace): Buffer {
    const head = this.#head;
    head[0] = VERSION;
    head.set(key.id, 1);
    let at = head.writeUInt8(place.source, NONCE_AT);
    at = head.writeUInt16BE(place.partition, at);
    at = writeUint64(head, place.offset, at);
    at = writeUint64(head, place.toOffset, at);
    at = writeUint64(head, place.recordTimeUs, at);
    head.writeUInt8(LETTER_CONTENTS.indexOf(place.content), at);
    return head;
  }
}

function deriveKey(key: Uint8Array): LetterKey {
  if (key.length !== LETTER_KEY_BYTES) {
    throw new MillraceError('config_invalid', `A key of dead letters has ${LETTER_KEY_BYTES} bytes.`);
  }
  const derive = (purpose: string, length: number): Buffer =>
    Buffer.from(hkdfSync('sha256', key, '', `millrace dead letter ${purpose}`, length));
  return {
    id: derive('key id', ID_BYTES),
    encryption: createSecretKey(derive('encryption', LETTER_KEY_BYTES)),
    nonce: createSecretKey(derive('nonce', LETTER_KEY_BYTES)),
  };
}

function nonceOf(key: LetterKey, head: Uint8Array, plain: Uint8Array): Uint8Array {
  return createHmac('sha256', key.nonce).update(head).update(plain).digest().subarray(0, NONCE_BYTES);
}

/** Big-endian; `value` is below 2^53. */
function writeUint64(bytes: Buffer, value: number, at: number): number {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  return bytes.writeUInt32BE(value % 2 ** 32, at + 4);
}

function unreadable(message: string, cause?: unknown): MillraceError {
  return new MillraceError('unprocessable', message, { cause });
}
