/**
 * Finds the route of a path. A tree of segments: a static segment goes before a parameter.
 */
import type { Method, Route } from './route.ts';

/** Where the API of this version is. */
export const BASE = '/api/v1';

interface Node {
  readonly children: Map<string, Node>;
  parameter: { readonly name: string; readonly node: Node } | undefined;
  readonly routes: Map<Method, Route>;
}

export type Match =
  | { readonly kind: 'found'; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'wrong_method'; readonly allow: readonly string[] }
  /** A parameter that is no valid percent-encoding. */
  | { readonly kind: 'malformed' };

export class Router {
  readonly #root = newNode();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      this.#add(route.path, route);
      if (route.isBare !== true) this.#add(BASE + route.path, route);
    }
  }

  /** `path` is raw. HEAD is answered by GET; OPTIONS by `wrong_method`, whose list is its answer. */
  match(method: string, path: string): Match {
    const values: string[] = [];
    const node = find(this.#root, segmentsOf(path), values);
    if (node === undefined || node.routes.size === 0) return { kind: 'not_found' };
    const route = node.routes.get((method === 'HEAD' ? 'GET' : method) as Method);
    if (route === undefined) return { kind: 'wrong_method', allow: allowedMethods(node) };
    const params: Record<string, string> = Object.create(null) as Record<string, string>;
    try {
      const names = segmentsOf(route.path).filter((segment) => segment.startsWith(':'));
      for (const [i, name] of names.entries()) params[name.slice(1)] = decodeURIComponent(values[i] ?? '');
    } catch {
      return { kind: 'malformed' };
    }
    return { kind: 'found', route, params };
  }

  #add(path: string, route: Route): void {
    let node = this.#root;
    for (const segment of segmentsOf(path)) node = childOf(node, segment);
    if (node.routes.has(route.method)) throw new Error(`two routes for ${route.method} ${path}`);
    node.routes.set(route.method, route);
  }
}

function newNode(): Node {
  return { children: new Map(), parameter: undefined, routes: new Map() };
}

function segmentsOf(path: string): string[] {
  return path.split('/').slice(1);
}

function childOf(node: Node, segment: string): Node {
  if (segment.startsWith(':')) {
    node.parameter ??= { name: segment.slice(1), node: newNode() };
    return node.parameter.node;
  }
  let child = node.children.get(segment);
  if (child === undefined) {
    child = newNode();
    node.children.set(segment, child);
  }
  return child;
}

function find(node: Node, segments: readonly string[], values: string[]): Node | undefined {
  const [segment, ...rest] = segments;
  if (segment === undefined) return node;
  const child = node.children.get(segment);
  if (child !== undefined) {
    const found = find(child, rest, values);
    if (found !== undefined && found.routes.size > 0) return found;
  }
  if (node.parameter === undefined || segment === '') return undefined;
  values.push(segment);
  const found = find(node.parameter.node, rest, values);
  if (found === undefined) values.pop();
  return found;
}

function allowedMethods(node: Node): string[] {
  const methods: string[] = [...node.routes.keys()];
  if (node.routes.has('GET')) methods.push('HEAD');
  return [...methods, 'OPTIONS'].toSorted();
}
