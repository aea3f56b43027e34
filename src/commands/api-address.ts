/** Where the API of this program is. */
import type { Config } from '../config.ts';

/** Base address without a slash at the end. */
export function addressOf({ httpHost, tlsCert }: Config, port: number): string {
  const scheme = tlsCert === undefined ? 'http' : 'https';
  return `${scheme}://${httpHost.includes(':') ? `[${httpHost}]` : httpHost}:${port}`;
}
