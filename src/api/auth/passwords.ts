/**
 * Passwords as argon2id hashes. The only file that knows @node-rs/argon2.
 */
import { randomBytes } from 'node:crypto';
import { hash, verify } from '@node-rs/argon2';
import { MillraceError } from '../../errors.ts';

/** 19 MiB, two passes: the figures of the OWASP password storage cheat sheet. Algorithm 2 is argon2id. */
const PARAMETERS = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
const MAX_RUNNING = 2;
const MAX_WAITING = 32;
const MIN_CHARACTERS = 8;
const MAX_CHARACTERS = 256;

export function newRandomPassword(): string {
  return randomBytes(18).toString('base64url');
}

/** Throws `unprocessable` when the password is too short or too long to be taken. */
export function checkPassword(password: string): void {
  if (password.length < MIN_CHARACTERS || password.length > MAX_CHARACTERS) {
    throw new MillraceError(
      'unprocessable',
      `A password must have ${MIN_CHARACTERS} to ${MAX_CHARACTERS} characters; this one has ${password.length}.`,
    );
  }
}

/**
 * Hashes and verifies, a few at a time: each takes 19 MiB and tens of milliseconds of a thread that file access
 * and name resolution need too. Beyond the queue it answers `too_many_requests`.
 */
export class PasswordHasher {
  #runningCount = 0;
  readonly #waiting: (() => void)[] = [];
  #decoy: Promise<string> | undefined;

  hash(password: string): Promise<string> {
    return this.#run(() => hash(password, PARAMETERS));
  }

  /** Without a hash (no such user) the same work is done for nothing, so that the time does not tell. */
  async verify(stored: string | undefined, password: string): Promise<boolean> {
    this.#decoy ??= hash(newRandomPassword(), PARAMETERS);
    const expected = stored ?? (await this.#decoy);
    const isRight = password.length <= MAX_CHARACTERS && (await this.#run(() => verify(expected, password)));
    return isRight && stored !== undefined;
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#runningCount >= MAX_RUNNING) {
      if (this.#waiting.length >= MAX_WAITING) {
        throw new MillraceError('too_many_requests', 'Too many logins at once: try again.');
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#runningCount++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#runningCount--;
      else next();
    }
  }
}
