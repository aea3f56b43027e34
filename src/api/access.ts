/**
 * Whether a route is for who asks, and whether it is asked as it can be.
 */
import { MillraceError } from '../errors.ts';
import { checkQueryNames, readQuery } from './read-query.ts';
import { PERMISSIONS, type Principal, type Route } from './route.ts';
import { isScoped } from './scope.ts';

/** Throws `forbidden`. */
export function checkAccess({ access, isScoped: isHeldToScope }: Route, { role, scope }: Principal): void {
  if (access === 'signed_in' || access === 'public') return;
  if (!PERMISSIONS[role].has(access)) {
    throw new MillraceError('forbidden', `The role ${role} may not do this.`);
  }
  if (isHeldToScope !== true && isScoped(scope)) {
    throw new MillraceError(
      'forbidden',
      'This is not kept apart by service, host and environment: a scope has no part in it.',
    );
  }
}

/** Throws 400 for parameters that the route does not describe. */
export function checkQuery(query: URLSearchParams, { operation }: Route): void {
  checkQueryNames(query, operation.query);
  if (operation.query !== undefined) readQuery(query, operation.query);
}
