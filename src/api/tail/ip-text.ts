/**
 * IPv6 addresses as ClickHouse writes them: in groups of which the longest run of zeros, the first of equals and no
 * single one, is left out (RFC 5952 section 4); IPv4 in its mapping (`::ffff:192.0.2.1`), or just behind six groups of
 * zeros, with its dots.
 */

const GROUPS = 8;
const QUAD_START = 12;
const MAPPED = 0xffff;

/** `bytes`: the 16 of an address, in network order. */
export function ipText(bytes: Uint8Array): string {
  const groups = Array.from(
    { length: GROUPS },
    (_, i) => ((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0),
  );
  const gap = longestZeroRun(groups);
  const quad = bytes.subarray(QUAD_START).join('.');
  if (gap.start === 0 && gap.length === 6) return `::${quad}`;
  if (gap.start === 0 && gap.length === 5 && groups[5] === MAPPED) return `::ffff:${quad}`;
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (gap.length < 2) return text(groups);
  return `${text(groups.slice(0, gap.start))}::${text(groups.slice(gap.start + gap.length))}`;
}

function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [i, group] of groups.entries()) {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  }
  return best;
}
