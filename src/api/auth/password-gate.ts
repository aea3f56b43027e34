/**
 * The one way to a password check: attempts are counted before, and remembered after.
 */
import { quoteValue } from '../../errors.ts';
import type { Telemetry } from '../../telemetry.ts';
import { addressGroup } from './address-group.ts';
import type { KnownAddresses } from './known-addresses.ts';
import type { LoginLimiter } from './login-limiter.ts';
import type { User, Users } from './users.ts';

export interface PasswordGatePorts {
  readonly users: Pick<Users, 'verify'>;
  readonly limiter: LoginLimiter;
  readonly knownAddresses: KnownAddresses;
  readonly telemetry: Telemetry;
}

interface Credentials {
  readonly username: string;
  readonly password: string;
  /** Of the peer. */
  readonly address: string;
}

type Verdict =
  | { readonly kind: 'right'; readonly user: User }
  /** No such user, another password, or a disabled user: nobody outside learns which. */
  | { readonly kind: 'wrong' }
  /** The password was not looked at. */
  | { readonly kind: 'wait'; readonly seconds: number };

export class PasswordGate {
  readonly #ports: PasswordGatePorts;

  constructor(ports: PasswordGatePorts) {
    this.#ports = ports;
  }

  async check({ username, password, address: peer }: Credentials): Promise<Verdict> {
    const { users, limiter, knownAddresses, telemetry } = this.#ports;
    const place = { username, address: addressGroup(peer) };
    const attempt = { ...place, isKnown: await knownAddresses.has(place) };
    const seconds = limiter.attempt(attempt);
    if (seconds > 0) return { kind: 'wait', seconds };
    const user = await users.verify(username, password);
    if (user === undefined) {
      telemetry.emit('login_failed', { username: quoteValue(username), address: peer });
      return { kind: 'wrong' };
    }
    limiter.succeeded(attempt);
    await knownAddresses.learn(place);
    return { kind: 'right', user };
  }
}
