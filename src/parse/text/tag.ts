/**
 * Tag of a syslog line without structure (RFC 3164 section 4.1.3): `sshd[42]:`, `kernel:`, `sshd(pam_unix)[42]:`,
 * `app[web.1]:`, and two that are older than the rules: `syslogd 1.4.1:` and ` -- root[42]:` of login.
 */
import { Byte, type Line } from './line.ts';

const MAX_TAG_BYTES = 128;

export class Tag {
  /** The name with all that belongs to it, e.g. `sshd(pam_unix)`. */
  nameStart = 0;
  nameEnd = 0;
  /** What stands in brackets; empty when nothing does. */
  procidStart = 0;
  procidEnd = 0;
  /** Whether the tag says more than its name and the brackets. */
  isOdd = false;
  /** End of the tag without its colon. */
  end = 0;
  /** Start of the message, behind the colon and one space. */
  messageStart = 0;

  /** Reads the tag at `at`; false when there is none. */
  read(line: Line, at: number): boolean {
    this.nameStart = at;
    this.procidStart = this.procidEnd = 0;
    this.isOdd = false;
    const bytes = line.bytes;
    const limit = Math.min(line.end, at + MAX_TAG_BYTES);
    for (let i = at; i < limit; i++) {
      const byte = bytes[i] as number;
      if (byte === Byte.leftBracket) return this.#readProcid(line, i);
      if (byte === Byte.colon) {
        const next = line.at(i + 1);
        if (next !== Byte.space && next !== Byte.leftBracket && next !== -1) continue;
        this.nameEnd = i;
        return i > at && this.#finish(line, i);
      }
      if (byte === Byte.space) return this.#readOdd(line, i);
      if (byte < Byte.space || byte === Byte.quote || byte === Byte.equals) return false;
    }
    return false;
  }

  /** `[PROCID]:`; without the colon only when it is a number. */
  #readProcid(line: Line, open: number): boolean {
    if (open === this.nameStart) return false;
    const close = line.find(Byte.rightBracket, open);
    if (close === -1 || close - open > MAX_TAG_BYTES || line.tokenEnd(open) < close) return false;
    this.nameEnd = open;
    this.procidStart = open + 1;
    this.procidEnd = close;
    const next = line.at(close + 1);
    if (next === Byte.colon) return this.#finish(line, close + 1);
    if (next !== Byte.space && next !== -1) return false;
    if (line.uint(open + 1, close) === -1) return false;
    this.end = close + 1;
    this.messageStart = Math.min(close + 2, line.end);
    return true;
  }

  /** A tag with a space in it. */
  #readOdd(line: Line, space: number): boolean {
    const second = space + 1;
    const secondEnd = line.tokenEnd(second);
    if (line.at(secondEnd - 1) !== Byte.colon) return false;
    const isVersion = line.digitsEnd(second) > second;
    const isLogin =
      space - this.nameStart === 2 &&
      line.at(this.nameStart) === Byte.dash &&
      line.at(space - 1) === Byte.dash;
    this.isOdd = true;
    if (isVersion) {
      this.nameEnd = space;
      return space > this.nameStart && this.#finish(line, secondEnd - 1);
    }
    const open = line.find(Byte.leftBracket, second);
    return isLogin && open > second && open < secondEnd && this.#readProcid(line, open);
  }

  #finish(line: Line, colon: number): boolean {
    this.end = colon;
    this.messageStart = line.at(colon + 1) === Byte.space ? colon + 2 : colon + 1;
    return true;
  }
}
