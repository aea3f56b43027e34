/**
 * Event times as text, with the parts of the current second kept: consecutive events mostly share it.
 */

const SECOND_US = 1_000_000;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export class EventTime {
  #second = Number.NaN;
  #isoSecond = '';
  #syslogSecond = '';

  /** `2025-06-01T12:00:00.123456Z`; `microseconds` since the epoch, a whole number. */
  iso(microseconds: number): string {
    this.#moveTo(microseconds);
    const fraction = microseconds % SECOND_US;
    return `${this.#isoSecond}${String(fraction + SECOND_US).slice(1)}Z`;
  }

  /** `Jun  1 12:00:00` in UTC: RFC 3164 section 4.1.2, without year, zone and fraction. */
  syslog(microseconds: number): string {
    this.#moveTo(microseconds);
    return this.#syslogSecond;
  }

  #moveTo(microseconds: number): void {
    const second = Math.floor(microseconds / SECOND_US);
    if (second === this.#second) return;
    this.#second = second;
    const date = new Date(second * 1000);
    const iso = date.toISOString();
    this.#isoSecond = iso.slice(0, 20);
    const day = String(date.getUTCDate()).padStart(2, ' ');
    this.#syslogSecond = `${MONTHS[date.getUTCMonth()] ?? 'Jan'} ${day} ${iso.slice(11, 19)}`;
  }
}
