/**
 * Scopes: as conditions and as a predicate, which must say the same.
 */
import { describe, expect, it } from 'vitest';
import { addScope, isInScope, isScoped, type Scope, scopeText, UNSCOPED } from '../../src/api/scope.ts';
import { SqlConditions } from '../../src/api/sql-conditions.ts';

const ROW = { service: 'web', host: 'a', environment: 'prod' };

describe('a scope', () => {
  it.each<[string, Scope, boolean]>([
    ['no list', UNSCOPED, true],
    ['its service', { services: ['db', 'web'] }, true],
    ['another service', { services: ['db'] }, false],
    ['another case', { services: ['Web'] }, false],
    ['its service on another host', { services: ['web'], hosts: ['b'] }, false],
    ['all three', { services: ['web'], hosts: ['a'], environments: ['prod'] }, true],
    ['an empty list', { environments: [] }, false],
  ])('of %s', (_name, scope, isIn) => {
    expect(isInScope(scope, ROW)).toBe(isIn);
  });

  it('becomes conditions with parameters only', () => {
    const conditions = new SqlConditions();
    addScope(conditions, { services: ["'); DROP"], environments: ['prod'] });
    expect(conditions.sql).toBe('(service IN {p0:Array(String)}) AND (environment IN {p1:Array(String)})');
    expect(conditions.params).toEqual({ p0: ["'); DROP"], p1: ['prod'] });
    expect(isScoped(UNSCOPED)).toBe(false);
    expect(isScoped({ hosts: ['a'] })).toBe(true);
  });

  it('has one text, whatever the order, and another one than any other scope', () => {
    expect(scopeText({ services: ['b', 'a'] })).toBe(scopeText({ services: ['a', 'b'] }));
    const texts = [UNSCOPED, { services: ['a'] }, { hosts: ['a'] }, { services: [] }].map(scopeText);
    expect(new Set(texts).size).toBe(texts.length);
  });
});
