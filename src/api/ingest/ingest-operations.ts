/**
 * What the routes that bring logs in take and answer.
 */
import { Type } from 'typebox';
import { DEAD_LETTER_REASONS } from '../../event/reasons.ts';
import { jsonAnswer, type Operation } from '../openapi/operation.ts';
import { PROBLEM_JSON, ProblemProperties, problemExample } from '../openapi/problems.ts';
import { Count } from '../openapi/schemas.ts';

const Rejected = Type.Object(
  {
    line: Type.Integer({ minimum: 1, description: 'Line, or element of the array, from 1' }),
    code: Type.String({ description: `Such as ${DEAD_LETTER_REASONS.join(', ')}, or out_of_scope` }),
    reason: Type.String(),
    dead_letter_id: Type.Optional(Type.String({ description: 'Where the record is kept' })),
  },
  { $id: 'RejectedRecord' },
);

const counts = {
  accepted: Count('Stored, and found by queries from now on'),
  rejected: Type.Array(Rejected, { description: 'The first 1,000 of them' }),
  rejected_count: Type.Optional(Count('How many there are, when the list is cut')),
};
const Ingested = Type.Object(counts, { $id: 'Ingested' });
const NothingIngested = Type.Object(
  { ...ProblemProperties, ...Type.Partial(Type.Object(counts)).properties },
  { $id: 'NothingIngested', additionalProperties: true },
);

const REJECTED = { line: 2, code: 'malformed_json', reason: 'Unexpected end of the record' };
const EXAMPLE_EVENT = { level: 'info', service: 'shop', message: 'order 1 paid' };

/** Any JSON object is an event; what is known of its fields is told by the answer of `GET /logs`. */
const Event = Type.Object({}, { $id: 'PostedEvent', additionalProperties: true });

/** `path` has two names for one route, hence two ids. */
export function postLogsOperation(id: 'postLogs' | 'postLog'): Operation {
  return {
    id,
    summary: 'Store logs',
    description:
      'One JSON object, an array of them, one object per line, or lines of text (syslog, access logs, anything). ' +
      'Answered when everything is stored. Content-Encoding may be gzip or deflate.',
    tag: 'ingest',
    headers: {
      'Idempotency-Key': Type.String({
        minLength: 1,
        maxLength: 255,
        description: 'The same body under the same key is stored once, however often it is sent',
      }),
    },
    body: {
      'application/json': { schema: Type.Union([Event, Type.Array(Event)]), example: EXAMPLE_EVENT },
      'application/x-ndjson': {
        schema: Type.String(),
        example: `${JSON.stringify(EXAMPLE_EVENT)}\n${JSON.stringify(EXAMPLE_EVENT)}\n`,
      },
      'text/plain': {
        schema: Type.String(),
        example: 'Jan 31 12:00:00 web-1 sshd[4242]: Failed password for root from 203.0.113.9 port 22 ssh2\n',
      },
    },
    answers: {
      200: {
        ...jsonAnswer('Stored; what was rejected is listed', Ingested, { accepted: 1, rejected: [REJECTED] }),
        headers: { 'Idempotency-Replayed': '`true` when the body had been stored before, under this key' },
      },
      422: {
        description: 'Every record was rejected, or the key was used with another body',
        content: {
          [PROBLEM_JSON]: {
            schema: NothingIngested,
            example: {
              ...problemExample('unprocessable', 'Every record of the body was rejected.'),
              accepted: 0,
              rejected: [REJECTED],
            },
          },
        },
      },
    },
    problems: ['request_in_progress', 'disk_full', 'thread_died', 'bus_unavailable'],
  };
}
