/**
 * What a user or key may do, and with which part of the logs: as it stands in the column `grants` and in requests.
 */
import { Type } from 'typebox';
import { MillraceError } from '../../errors.ts';
import { ROLES, type Role } from '../route.ts';
import { isScoped, type Scope, UNSCOPED } from '../scope.ts';

export interface Grant {
  readonly role: Role;
  readonly scope: Scope;
}

const MAX_VALUES = 100;
const MAX_CHARACTERS = 256;

const Values = Type.Array(Type.String({ minLength: 1, maxLength: MAX_CHARACTERS }), {
  minItems: 1,
  maxItems: MAX_VALUES,
});

/** An absent list means all; an empty one is refused, as nobody could tell what is meant. */
export const ScopeSchema = Type.Object(
  { services: Type.Optional(Values), hosts: Type.Optional(Values), environments: Type.Optional(Values) },
  { $id: 'Scope', additionalProperties: false },
);

interface ScopeLists {
  readonly services?: readonly string[] | undefined;
  readonly hosts?: readonly string[] | undefined;
  readonly environments?: readonly string[] | undefined;
}

/** Without the lists that are absent. */
export function toScope({ services, hosts, environments }: ScopeLists): Scope {
  return {
    ...(services !== undefined && { services }),
    ...(hosts !== undefined && { hosts }),
    ...(environments !== undefined && { environments }),
  };
}

/** Throws `unprocessable`, also for an admin with a scope: who may change everything can give themselves any. */
export function checkGrant({ role, scope }: Grant): void {
  for (const values of Object.values(scope as ScopeLists)) {
    const isFit = values.length > 0 && values.length <= MAX_VALUES && values.every(isName);
    if (isFit) continue;
    throw new MillraceError(
      'unprocessable',
      `A scope lists 1 to ${MAX_VALUES} names of 1 to ${MAX_CHARACTERS} characters.`,
    );
  }
  if (role !== 'admin' || !isScoped(scope)) return;
  throw new MillraceError(
    'unprocessable',
    'An admin has no scope: choose another role, or leave the scope out.',
  );
}

function isName(text: string): boolean {
  return text.length > 0 && text.length <= MAX_CHARACTERS;
}

/** As stored: one grant, an empty list meaning all. */
export function formatGrants({ role, scope }: Grant): string {
  const { services = [], hosts = [], environments = [] } = scope;
  return JSON.stringify([{ role, services, hosts, environments }]);
}

/** The first grant. Undefined for what another program wrote and this one does not understand: it grants nothing. */
export function parseGrants(text: string): Grant | undefined {
  try {
    const [first] = JSON.parse(text) as readonly Record<string, unknown>[];
    const role = ROLES.find((known) => known === first?.['role']);
    if (first === undefined || role === undefined) return undefined;
    const services = listOf(first['services']);
    const hosts = listOf(first['hosts']);
    const environments = listOf(first['environments']);
    return { role, scope: role === 'admin' ? UNSCOPED : toScope({ services, hosts, environments }) };
  } catch {
    return undefined;
  }
}

/** Throws for what is no list of texts. */
function listOf(value: unknown): string[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw new TypeError('no list');
  return value.length === 0 ? undefined : value;
}
