/**
 * What a route is, and who is asking.
 */
import type { AuditAction, AuditDraft } from './audit/audit-log.ts';
import type { Deprecation } from './deprecation.ts';
import type { HttpRequest, HttpResponse } from './http/port.ts';
import type { Operation } from './openapi/operation.ts';
import type { Scope } from './scope.ts';

export const ROLES = ['admin', 'analyst', 'viewer', 'writer'] as const;
export type Role = (typeof ROLES)[number];

/** `read` and `handle` (alerts) look at what is stored, `post` brings logs in, `manage` changes the program. */
export type Permission = 'read' | 'handle' | 'post' | 'manage';

export const PERMISSIONS: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  admin: new Set(['read', 'handle', 'post', 'manage']),
  analyst: new Set(['read', 'handle']),
  viewer: new Set(['read']),
  writer: new Set(['post']),
};

/** Who is asking: the subject of a verified token, or an API key. */
export interface Principal {
  /** Of a key: `key:` and its id, which no user can be called. */
  readonly username: string;
  readonly role: Role;
  /** What of the logs they may see or post. */
  readonly scope: Scope;
  /** Session of the token: logout ends it. */
  readonly sessionId: string;
  /** Whether all of this still holds, for streams that outlive the request; rejects when nobody can be asked. */
  readonly isCurrent?: () => Promise<boolean>;
}

interface PublicContext {
  readonly request: HttpRequest;
  readonly requestId: string;
  /** Decoded segments of the path, by the name after the colon. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Written when the request has an answer; handlers may say more in it. */
  readonly audit: AuditDraft;
}

export interface RequestContext extends PublicContext {
  readonly principal: Principal;
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

interface RouteAddress {
  readonly method: Method;
  /** Such as `/logs/:id`. */
  readonly path: string;
  /** True: only unversioned; else also under `/api/v1`. */
  readonly isBare?: boolean;
  /** For streams that browsers open, which send no headers: `?ticket=` says who asks. Handlers do not see it. */
  readonly takesTicket?: boolean;
  /** Asked for by machines without a login, and often: not counted against the limit of an address. */
  readonly isUncounted?: true;
  /** Set when it is to go: every answer of it says so. */
  readonly deprecation?: Deprecation;
  /** What is documented and validated. */
  readonly operation: Operation;
  /**
   * Everything the route tells or takes is held to the scope of who asks. Routes that do not say so are refused to
   * everybody who has one.
   */
  readonly isScoped?: true;
  /** Every request that got as far as a principal (on public routes, every request) is written to the audit. */
  readonly audit?: AuditAction;
}

export type Route = RouteAddress &
  (
    | { readonly access: 'public'; readonly handle: (context: PublicContext) => Promise<HttpResponse> }
    | {
        /** A permission, or any valid token. */
        readonly access: Permission | 'signed_in';
        readonly handle: (context: RequestContext) => Promise<HttpResponse>;
      }
  );

export type { PublicContext };
