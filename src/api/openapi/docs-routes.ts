/**
 * `/openapi.json`, `/docs` and `/problems/:code`: what the API says of itself. For everybody, without a login.
 */
import { createHash } from 'node:crypto';
import { Type } from 'typebox';
import { ERROR_KINDS, type ErrorCode, MillraceError, quoteValue } from '../../errors.ts';
import type { HttpRequest, HttpResponse } from '../http/port.ts';
import type { PublicContext, Route } from '../route.ts';
import { openApiDocument } from './document.ts';
import { contentSecurityPolicy, type Page, renderPage } from './html.ts';
import { type Content, jsonAnswer, type Operation } from './operation.ts';
import { problemPage } from './problem-page.ts';
import { type OpenApi, referencePage } from './reference-page.ts';

const HTML = 'text/html; charset=utf-8';

const OpenApiSchema = Type.Object(
  { openapi: Type.String() },
  { $id: 'OpenApi', additionalProperties: true, description: 'This document' },
);
const NOT_MODIFIED = { description: 'As the ETag of If-None-Match' };
const HEADERS = { 'If-None-Match': Type.String({ description: 'ETag of an earlier answer' }) };
const PAGE: Content = { 'text/html': { schema: Type.String(), example: '<!doctype html>' } };

const GET_OPENAPI: Operation = {
  id: 'getOpenApi',
  summary: 'This document',
  tag: 'probes',
  headers: HEADERS,
  answers: { 200: jsonAnswer('OpenAPI 3.1', OpenApiSchema, { openapi: '3.1.0' }), 304: NOT_MODIFIED },
};
const GET_DOCS: Operation = {
  id: 'getDocs',
  summary: 'The reference as a page',
  tag: 'probes',
  headers: HEADERS,
  answers: { 200: { description: 'HTML', content: PAGE }, 304: NOT_MODIFIED },
};
const GET_PROBLEM: Operation = {
  id: 'getProblemType',
  summary: 'What a code of a refusal means',
  tag: 'probes',
  params: { code: Type.String({ description: 'Such as `bad_request`' }) },
  headers: HEADERS,
  answers: { 200: { description: 'HTML', content: PAGE }, 304: NOT_MODIFIED },
  problems: ['not_found'],
};

interface Made {
  readonly type: string;
  readonly text: string;
  readonly policy?: string;
}

/** Describes `routes` and itself. What is made is made with the first request and kept. */
export function docsRoutes(routes: readonly Route[]): Route[] {
  const document = once(() => openApiDocument([...routes, ...own]) as unknown as OpenApi);
  const json = once(() => ({ type: 'application/json', text: JSON.stringify(document()) }));
  const reference = once(() => toMade(referencePage(document())));
  const own: readonly Route[] = [
    toRoute('/openapi.json', GET_OPENAPI, json),
    toRoute('/docs', GET_DOCS, reference),
    toRoute('/problems/:code', GET_PROBLEM, ({ params }) => toMade(problemPage(codeOf(params['code'])))),
  ];
  return [...own];
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function toRoute(path: string, operation: Operation, make: (context: PublicContext) => Made): Route {
  const handle = async (context: PublicContext) => answer(context.request, make(context));
  return { method: 'GET', path, isBare: true, access: 'public', operation, handle };
}

function codeOf(text = ''): ErrorCode {
  if (Object.hasOwn(ERROR_KINDS, text)) return text as ErrorCode;
  throw new MillraceError('not_found', `There is no problem called ${quoteValue(text)}.`);
}

function toMade(page: Page): Made {
  return { type: HTML, text: renderPage(page), policy: contentSecurityPolicy(page) };
}

/** Cached by clients, who ask each time whether it is still the same. */
function answer({ headers: asked }: HttpRequest, { type, text, policy }: Made): HttpResponse {
  const etag = `"${createHash('sha256').update(text).digest('base64url')}"`;
  const headers = { ETag: etag, 'Cache-Control': 'no-cache' };
  if (isListed(etag, asked.get('if-none-match'))) return { status: 304, headers };
  return {
    status: 200,
    headers: {
      ...headers,
      'Content-Type': type,
      ...(policy === undefined ? {} : { 'Content-Security-Policy': policy }),
    },
    body: text,
  };
}

/** A proxy that compresses marks the tag as weak: it still names the same text. */
function isListed(etag: string, list = ''): boolean {
  return list.split(',').some((item) => item.trim() === '*' || item.trim().replace(/^W\//, '') === etag);
}
