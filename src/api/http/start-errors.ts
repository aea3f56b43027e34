/** Errors of a server that cannot start, the same for both servers. */
import { MillraceError } from '../../errors.ts';

export function listenError(address: { host: string; port: number }, cause?: unknown): MillraceError {
  return new MillraceError(
    'address_unavailable',
    `The HTTP API cannot listen on ${address.host}:${address.port}: the port is taken or the address is not one of this machine.`,
    { cause },
  );
}

export function tlsError(cause: unknown): MillraceError {
  return new MillraceError(
    'config_invalid',
    'TLS_CERT and TLS_KEY could not be used: both must be readable PEM files that belong together.',
    { cause },
  );
}
