/**
 * How large the regular expressions of live tails may be, which are held against every log that is stored: those of
 * one tail, and those of all that one user has open.
 */
import { MillraceError } from '../../errors.ts';

const MAX_STEPS_PER_TAIL = 600;
const MAX_STEPS_PER_USER = 3000;

/** One entry for each user that has such tails open. */
export class PatternAllowance {
  readonly #opened = new Map<string, number>();

  /** What it returns gives the room back, once. Throws `query_too_costly` or `too_many_requests`. */
  open(username: string, stepCount: number): () => void {
    if (stepCount > MAX_STEPS_PER_TAIL) throw tooLarge();
    const before = this.#opened.get(username) ?? 0;
    if (before + stepCount > MAX_STEPS_PER_USER) {
      throw new MillraceError(
        'too_many_requests',
        'The regular expressions of your open live tails are too large together: close one, or choose simpler ones.',
      );
    }
    this.#set(username, before + stepCount);
    let isOpen = true;
    return () => {
      if (isOpen) this.#set(username, (this.#opened.get(username) ?? 0) - stepCount);
      isOpen = false;
    };
  }

  #set(username: string, stepCount: number): void {
    if (stepCount > 0) this.#opened.set(username, stepCount);
    else this.#opened.delete(username);
  }
}

function tooLarge(): MillraceError {
  const detail =
    `The regular expressions of a live tail may have ${MAX_STEPS_PER_TAIL} steps together, ` +
    'repetitions written out: choose simpler ones.';
  return new MillraceError('query_too_costly', detail, { faults: [{ detail, parameter: 'filter' }] });
}
