/**
 * Content negotiation (RFC 9110, 12.5): which of the forms that there are a client wants, and whether it takes gzip.
 */
import { MillraceError, quoteValue } from '../errors.ts';

interface Range {
  readonly name: string;
  readonly weight: number;
}

/** A header with more entries than this is cut there. */
const MAX_RANGES = 32;

/**
 * The one of `offered` that `accept` prefers; the first where it does not matter. Throws `not_acceptable` where it
 * takes none.
 */
export function chooseType<const T extends string>(
  accept: string | undefined,
  offered: readonly [T, ...T[]],
): T {
  if (accept === undefined || accept.trim() === '') return offered[0];
  const ranges = parseRanges(accept);
  let best: { readonly type: T; readonly weight: number } | undefined;
  for (const type of offered) {
    const weight = weightOf(ranges, [type, `${type.split('/')[0] ?? ''}/*`, '*/*']);
    if (weight > (best?.weight ?? 0)) best = { type, weight };
  }
  if (best !== undefined) return best.type;
  throw new MillraceError(
    'not_acceptable',
    `There is ${offered.join(', ')}; the Accept header takes ${quoteValue(accept)}.`,
  );
}

/** Whether an Accept-Encoding header takes gzip. A client that sends none may not know it. */
export function takesGzip(acceptEncoding: string | undefined): boolean {
  return weightOf(parseRanges(acceptEncoding ?? ''), ['gzip', 'x-gzip', '*']) > 0;
}

/** Weight of the most specific entry; 0 when there is none. */
function weightOf(ranges: readonly Range[], names: readonly string[]): number {
  for (const name of names) {
    const range = ranges.find((candidate) => candidate.name === name);
    if (range !== undefined) return range.weight;
  }
  return 0;
}

function parseRanges(header: string): Range[] {
  return header
    .split(',', MAX_RANGES)
    .map((entry) => {
      const [name = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase());
      const q = parameters.find((parameter) => parameter.startsWith('q='));
      const weight = q === undefined ? 1 : Number(q.slice(2));
      return { name, weight: weight >= 0 && weight <= 1 ? weight : 0 };
    })
    .filter(({ name }) => name !== '');
}
