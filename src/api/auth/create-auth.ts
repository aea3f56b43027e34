/**
 * Puts together what tells who is asking.
 */
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { Telemetry } from '../../telemetry.ts';
import type { CurrentKeys } from '../api-keys/current-keys.ts';
import type { AuthPorts } from './auth-routes.ts';
import { CurrentUsers } from './current-users.ts';
import type { ApiKeys } from './key-files.ts';
import { KeyRing } from './key-ring.ts';
import { KnownAddresses } from './known-addresses.ts';
import { LoginLimiter } from './login-limiter.ts';
import { PasswordGate } from './password-gate.ts';
import { Sessions } from './sessions.ts';
import { Tokens } from './tokens.ts';
import type { Users } from './users.ts';

export interface CreateAuthPorts {
  readonly store: QueryPort;
  readonly users: Users;
  readonly keys: ApiKeys;
  /** Who has which API key. */
  readonly currentKeys: CurrentKeys;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** `keyRotationMs`: age at which the signing key is replaced. */
export function createAuth(
  ports: CreateAuthPorts,
  { keyRotationMs }: { readonly keyRotationMs: number },
): AuthPorts {
  const { users, currentKeys, telemetry, now } = ports;
  const keyRing = new KeyRing({ ...ports, rotationMs: keyRotationMs });
  const knownAddresses = new KnownAddresses(ports);
  return {
    users,
    currentKeys,
    keyRing,
    tokens: new Tokens(keyRing),
    sessions: new Sessions(ports),
    passwordGate: new PasswordGate({ users, limiter: new LoginLimiter(now), knownAddresses, telemetry }),
    currentUsers: new CurrentUsers(ports),
  };
}
