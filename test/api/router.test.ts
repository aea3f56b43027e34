/** Paths to routes. */
import { describe, expect, it } from 'vitest';
import { LIVEZ } from '../../src/api/health/health-operations.ts';
import type { Route } from '../../src/api/route.ts';
import { Router } from '../../src/api/router.ts';

function route(method: 'GET' | 'POST', path: string, isBare = false): Route {
  const handle = async () => ({ status: 200, headers: {} });
  return { method, path, isBare, access: 'public', operation: LIVEZ, handle };
}

const router = new Router([
  route('GET', '/logs'),
  route('GET', '/logs/:id'),
  route('GET', '/logs/tail'),
  route('POST', '/alerts/bulk'),
  route('GET', '/alerts/:id'),
  route('GET', '/alerts/:id/evidence'),
  route('GET', '/entities/:kind/:value/risk'),
  route('GET', '/livez', true),
]);

describe('router', () => {
  it.each([
    ['/logs/tail', '/logs/tail', {}],
    ['/logs/tails', '/logs/:id', { id: 'tails' }],
    ['/api/v1/logs/a%2Fb', '/logs/:id', { id: 'a/b' }],
    ['/alerts/7/evidence', '/alerts/:id/evidence', { id: '7' }],
    ['/entities/host/web%201/risk', '/entities/:kind/:value/risk', { kind: 'host', value: 'web 1' }],
    ['/logs/__proto__', '/logs/:id', { id: '__proto__' }],
  ])('finds %s', (path, expected, params) => {
    const match = router.match('GET', path);
    expect(match).toMatchObject({ kind: 'found', route: { path: expected } });
    expect(match.kind === 'found' && { ...match.params }).toEqual(params);
  });

  it.each([
    '',
    '/',
    'logs',
    '/logs/',
    '//logs',
    '/logs//x',
    '/api/v1',
    '/api/v1/livez',
    '/api/v2/logs',
    '/LOGS',
  ])('has nothing at %j', (path) => {
    expect(router.match('GET', path)).toEqual({ kind: 'not_found' });
  });

  it('lets a static segment hide the parameter, methods included', () => {
    expect(router.match('GET', '/alerts/bulk')).toEqual({ kind: 'wrong_method', allow: ['OPTIONS', 'POST'] });
    expect(router.match('HEAD', '/logs')).toMatchObject({ kind: 'found' });
    expect(router.match('BREW', '/logs')).toMatchObject({ kind: 'wrong_method' });
  });

  it('refuses two routes at one place', () => {
    expect(() => new Router([route('GET', '/a'), route('GET', '/a')])).toThrow(/two routes/);
  });
});
