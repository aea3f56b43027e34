import { errorMessage, MillraceError } from '../errors.ts';

/** What `read` throws is wrong usage: it came from the command line. */
export function asUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new MillraceError('usage', errorMessage(error), { cause: error });
  }
}
