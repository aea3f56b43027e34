/**
 * How a route says that it will go: `Deprecation` (RFC 9745) and `Sunset` (RFC 8594).
 */

export interface Deprecation {
  /** Day since when it should not be used any more, such as `2026-11-21`. */
  readonly since: string;
  /** Day on which it goes. */
  readonly sunset?: string;
  /** Where to read what to use in its place. */
  readonly link?: string;
}

const SECOND_MS = 1000;

export function deprecationFields({ since, sunset, link }: Deprecation): Readonly<Record<string, string>> {
  return {
    Deprecation: `@${Date.parse(since) / SECOND_MS}`,
    ...(sunset === undefined ? {} : { Sunset: new Date(sunset).toUTCString() }),
    ...(link === undefined ? {} : { Link: `<${link}>; rel="deprecation"` }),
  };
}
