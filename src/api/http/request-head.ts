/**
 * Turns what the servers give into the head of a request, the same way for both.
 */

/** Adds one header line; a repeated name is joined, so that a duplicate Content-Length is no number any more. */
export function addHeader(headers: Map<string, string>, name: string, value: string): void {
  const key = name.toLowerCase();
  const before = headers.get(key);
  headers.set(key, before === undefined ? value : `${before}, ${value}`);
}

/** An address as people write it: IPv4 out of its IPv6 mapping, in whichever form the system prints that. */
export function plainAddress(text: string): string {
  const dotted = /^(?:0{0,4}:){0,6}:?ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(text);
  if (dotted?.[1] !== undefined) return dotted[1];
  const hex = /^(?:0{1,4}:){5}ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(text);
  if (hex?.[1] === undefined || hex[2] === undefined) return text;
  const high = Number.parseInt(hex[1], 16);
  const low = Number.parseInt(hex[2], 16);
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** A header value that cannot end its line: control characters become spaces. */
export function safeHeaderValue(value: string): string {
  // oxlint-disable-next-line no-control-regex
  return /[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)
    ? // oxlint-disable-next-line no-control-regex
      value.replaceAll(/[\u0000-\u0008\u000a-\u001f\u007f]/g, ' ')
    : value;
}
