/**
 * The routes that read logs, called without a server and without signing in: for many calls, and for any scope.
 */
import { randomBytes } from 'node:crypto';
import type { HttpRequest, HttpResponse } from '../../src/api/http/port.ts';
import { logsRoutes } from '../../src/api/logs/logs-routes.ts';
import { Router } from '../../src/api/router.ts';
import type { Scope } from '../../src/api/scope.ts';
import { summaryRoutes } from '../../src/api/summary/summary-routes.ts';
import type { QueryPort } from '../../src/pipeline/query-port.ts';

export interface DirectRoutes {
  /** Throws the MillraceError that a server would answer with. */
  get(target: string, scope?: Scope, headers?: Readonly<Record<string, string>>): Promise<HttpResponse>;
}

export function directRoutes(store: QueryPort, nowMs = Date.now()): DirectRoutes {
  const ports = { store, cursorSecret: randomBytes(32), now: () => nowMs };
  const router = new Router([...logsRoutes(ports), ...summaryRoutes(ports)]);
  return {
    async get(target, scope = {}, headers = {}) {
      const [path = '', query = ''] = target.split('?');
      const match = router.match('GET', path);
      if (match.kind !== 'found' || match.route.access === 'public') throw new Error(`no route for ${path}`);
      const request: HttpRequest = {
        method: 'GET',
        path,
        query,
        headers: new Map(Object.entries(headers)),
        remoteAddress: '127.0.0.1',
        signal: new AbortController().signal,
        readBody: () => Promise.reject(new Error('no body')),
      };
      return await match.route.handle({
        request,
        requestId: 'test',
        params: match.params,
        query: new URLSearchParams(query),
        audit: { action: undefined, actor: 'test', target: '', detail: {} },
        principal: { username: 'test', role: 'viewer', sessionId: 'test', scope },
      });
    },
  };
}

/** The text of an answer, streamed or not. */
export async function textOf({ body }: HttpResponse): Promise<string> {
  if (body === undefined || typeof body === 'string') return body ?? '';
  if (body instanceof Uint8Array) return Buffer.from(body).toString();
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString();
}
