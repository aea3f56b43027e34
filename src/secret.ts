/**
 * A value that must not be seen: every way of printing it gives `[redacted]`.
 * Only `reveal()` hands it out, so a reader finds each use by that name.
 */
import { inspect } from 'node:util';

export const REDACTED = '[redacted]';

export class Secret {
  readonly #value: string;
  readonly #display: string;

  /** `display` is what is shown instead, for values of which only a part is secret (a URL). */
  constructor(value: string, display: string = REDACTED) {
    this.#value = value;
    this.#display = display;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return this.#display;
  }

  toJSON(): string {
    return this.#display;
  }

  [inspect.custom](): string {
    return this.#display;
  }
}

/** The URL with its password replaced; text that is no URL is redacted whole if it could hold one. */
export function redactUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return text.includes('@') ? REDACTED : text;
  }
  if (url.password === '') return text;
  return text.replace(/\/\/[^@]*@/, `//${url.username}:${REDACTED}@`);
}
