/**
 * Refusals as the document has them: the schema of problem+json, and which a route can answer with.
 */
import { Type } from 'typebox';
import { ERROR_KINDS, type ErrorCode } from '../../errors.ts';
import { problemType } from '../problem.ts';
import type { Route } from '../route.ts';

export const PROBLEM_JSON = 'application/problem+json';

const Fault = Type.Object(
  {
    detail: Type.String(),
    pointer: Type.Optional(
      Type.String({ description: 'Into the body: a JSON pointer as a fragment, such as `#/username`' }),
    ),
    parameter: Type.Optional(Type.String({ description: 'Name of the query parameter' })),
    position: Type.Optional(
      Type.Integer({ minimum: 0, description: "Character of the parameter's value, from 0" }),
    ),
    suggestion: Type.Optional(Type.String({ description: 'What was probably meant' })),
  },
  { $id: 'InputFault' },
);

export const ProblemProperties = {
  type: Type.String({ format: 'uri-reference', description: 'Address of a page that explains it' }),
  title: Type.String(),
  status: Type.Integer({ minimum: 400, maximum: 599 }),
  detail: Type.String({ description: 'What could not be done, and why' }),
  code: Type.Enum(Object.keys(ERROR_KINDS) as [ErrorCode, ...ErrorCode[]]),
  request_id: Type.Optional(Type.String({ description: 'As in the log of the program' })),
  trace_id: Type.Optional(Type.String({ description: 'Of the `traceparent` that came with the request' })),
  errors: Type.Optional(Type.Array(Fault, { description: 'The places of the request that do not fit' })),
};

export const Problem = Type.Object(ProblemProperties, {
  $id: 'Problem',
  description: 'RFC 9457. There may be more members.',
  additionalProperties: true,
});

export function problemExample(code: ErrorCode, detail: string = ERROR_KINDS[code].title) {
  const { title, status } = ERROR_KINDS[code];
  return { type: problemType(code), title, status, detail, code, request_id: '4f7c0d1e' };
}

const ALWAYS: readonly ErrorCode[] = [
  'bad_request',
  'too_many_requests',
  'internal',
  'store_unavailable',
  'store_overloaded',
  'deadline_exceeded',
  'shutting_down',
];
const WITH_BODY: readonly ErrorCode[] = ['payload_too_large', 'unsupported_media_type', 'unprocessable'];

/** Every code that the route may answer with, by status. */
export function problemsOf({ method, access, operation }: Route): ReadonlyMap<number, readonly ErrorCode[]> {
  const codes = new Set<ErrorCode>([
    ...ALWAYS,
    ...(access === 'public' ? [] : (['unauthorized'] as const)),
    ...(access === 'public' || access === 'signed_in' ? [] : (['forbidden'] as const)),
    ...(operation.body === undefined ? [] : WITH_BODY),
    ...(access === 'public' || method !== 'GET' ? [] : (['query_too_costly'] as const)),
    ...(operation.problems ?? []),
  ]);
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { status } = ERROR_KINDS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return byStatus;
}
