/**
 * Events as the stream has them (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 */

/** What a slow client did not get. */
export interface Gap {
  readonly count: number;
  /** Earliest and latest time of these logs, in microseconds. */
  readonly fromUs: number;
  readonly toUs: number;
}

/** JSON has no line end in it, which would end the field. */
export function eventText(name: 'gap' | 'heartbeat' | 'end', id: string, data: object): string {
  return `event: ${name}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** `data` is JSON. */
export function logEvent(id: string, data: string): string {
  return `event: log\nid: ${id}\ndata: ${data}\n\n`;
}
