/**
 * Cross-origin requests of browsers (Fetch standard, 3.2): origins of a list, by exact match. Tokens come in a
 * header, so credentials of the browser (cookies) are never asked for.
 */

type Fields = Readonly<Record<string, string>>;

const ALLOWED_HEADERS = [
  'Authorization',
  'Content-Encoding',
  'Content-Type',
  'Idempotency-Key',
  'If-Match',
  'If-None-Match',
  'Last-Event-ID',
  'Traceparent',
  'X-API-Key',
  'X-Request-Id',
].join(', ');
const EXPOSED_HEADERS = [
  'Content-Disposition',
  'Deprecation',
  'ETag',
  'Idempotency-Replayed',
  'Link',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'Sunset',
  'X-Request-Id',
].join(', ');
const PREFLIGHT_SECONDS = '600';
const PREFLIGHT_VARY = 'Access-Control-Request-Method, Access-Control-Request-Headers';

export class Cors {
  readonly #origins: ReadonlySet<string>;

  /** `origins` such as `https://logs.example.com`; none turns it off. */
  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins.map((origin) => new URL(origin).origin));
  }

  /** Into the headers of an answer to a request that had the headers `asked`. */
  addFields(headers: Record<string, string>, asked: ReadonlyMap<string, string>): void {
    if (this.#origins.size === 0) return;
    const vary = headers['Vary'];
    headers['Vary'] = vary === undefined ? 'Origin' : `${vary}, Origin`;
    const origin = asked.get('origin');
    if (origin === undefined || !this.#origins.has(origin)) return;
    headers['Access-Control-Allow-Origin'] = origin;
    headers['Access-Control-Expose-Headers'] = EXPOSED_HEADERS;
    headers['Cross-Origin-Resource-Policy'] = 'cross-origin';
  }

  /** For the answer to OPTIONS besides; nothing when it is no preflight of an origin that may ask. */
  preflightFields(headers: ReadonlyMap<string, string>, methods: readonly string[]): Fields {
    if (this.#origins.size === 0) return {};
    const isAllowed = this.#origins.has(headers.get('origin') ?? '');
    if (!isAllowed || !headers.has('access-control-request-method')) return { Vary: PREFLIGHT_VARY };
    return {
      Vary: PREFLIGHT_VARY,
      'Access-Control-Allow-Methods': methods.filter((method) => method !== 'OPTIONS').join(', '),
      'Access-Control-Allow-Headers': ALLOWED_HEADERS,
      'Access-Control-Max-Age': PREFLIGHT_SECONDS,
    };
  }
}
