/**
 * The part of an sshd line that sshd itself writes about its peer: `[ from ]ADDRESS[ port N][ ssh2]`.
 * User names and client banners stand in the same line and may imitate it, so a clause is read where only
 * the server can have put it: backwards from the end of the line, or right behind a fixed prefix.
 */

import { Byte, isDigit, type Line, word } from './line.ts';
import type { UnsetFields } from './unset-fields.ts';

const FROM = word(' from ');
const PORT = word(' port ');
const PROTOCOL = word(' ssh');

/** Where the clause that was read last lies; valid until the next read. */
export class PeerClause {
  peerStart = 0;
  peerEnd = 0;
  /** 0 when the line names none. */
  port = 0;
  /** End of a user name that precedes the clause. */
  userEnd = 0;
  /** First byte behind the clause. */
  end = 0;

  /**
   * `NAME from ADDRESS[ port N][ ssh2]` at the very end of the line; `from` is the start of the name.
   * The last clause of the line by construction, whatever the name contains.
   */
  readLast(line: Line, from: number): boolean {
    if (!this.#readAddressBackwards(line, from)) return false;
    this.userEnd = this.peerStart - FROM.length;
    return this.userEnd >= from - 1 && line.has(this.userEnd, FROM);
  }

  /** `NAME ADDRESS port N` at the very end of the line, as lines about closed connections have it. */
  readLastBare(line: Line, from: number): boolean {
    if (!this.#readAddressBackwards(line, from) || this.port === 0) return false;
    this.userEnd = Math.max(this.peerStart - 1, from);
    return true;
  }

  /** `ADDRESS[ port N]` at `at`; a colon or comma that ends the address is left out. */
  readAt(line: Line, at: number): boolean {
    this.peerStart = at;
    let end = line.tokenEnd(at);
    this.end = end;
    const last = line.at(end - 1);
    if (end > at && (last === Byte.colon || last === Byte.comma)) end--;
    this.peerEnd = end;
    this.port = 0;
    if (end === this.end && line.has(end, PORT)) {
      const portEnd = line.digitsEnd(end + PORT.length);
      const port = line.uint(end + PORT.length, portEnd);
      if (port !== -1) {
        this.port = port;
        this.end = portEnd;
      }
    }
    return end > at;
  }

  /** ` from ADDRESS port N[ ssh2]:` somewhere behind `from`: the first such, or the last one. */
  readInside(line: Line, from: number, isLastWanted: boolean): boolean {
    let found = -1;
    for (let at = line.findWord(FROM, from - 1); at !== -1; at = line.findWord(FROM, at + 1)) {
      if (!this.#isFollowedByDetails(line, at)) continue;
      found = at;
      if (!isLastWanted) break;
    }
    if (found === -1) return false;
    this.readAt(line, found + FROM.length);
    this.userEnd = found;
    return true;
  }

  write(fields: UnsetFields): void {
    fields.peer(this.peerStart, this.peerEnd);
    fields.port(this.port);
  }

  #isFollowedByDetails(line: Line, at: number): boolean {
    if (!this.readAt(line, at + FROM.length) || this.port === 0) return false;
    const end = line.has(this.end, PROTOCOL) ? line.tokenEnd(this.end + 1) - 1 : this.end;
    return line.at(end) === Byte.colon;
  }

  #readAddressBackwards(line: Line, from: number): boolean {
    let end = line.end;
    let space = line.findLast(Byte.space, end);
    if (space > from && line.has(space, PROTOCOL)) {
      end = space;
      space = line.findLast(Byte.space, end);
    }
    this.end = end;
    this.port = 0;
    const portAt = space - PORT.length + 1;
    if (portAt > from && isDigit(line.at(space + 1)) && line.has(portAt, PORT)) {
      const port = line.uint(space + 1, end);
      if (port > 0) {
        this.port = port;
        end = portAt;
        space = line.findLast(Byte.space, end);
      }
    }
    this.peerStart = space + 1;
    this.peerEnd = end;
    return space !== -1 && end > space + 1 && space + 1 >= from;
  }
}
