/**
 * Entity tags of answers that clients keep (RFC 9110, 8.8.3 and 13.1.2).
 */
import { createHash } from 'node:crypto';
import type { HttpRequest } from './http/port.ts';

/** The strong tag of this very text. */
export function etagOf(text: string): string {
  return `"${createHash('sha256').update(text).digest('base64url')}"`;
}

/** Whether the client has it. A proxy that compresses marks the tag as weak: it still names the same text. */
export function isKnown({ headers }: Pick<HttpRequest, 'headers'>, etag: string): boolean {
  const given = headers.get('if-none-match') ?? '';
  return given.split(',').some((item) => item.trim() === '*' || item.trim().replace(/^W\//, '') === etag);
}
