/**
 * What `GET /logs/tail` takes and answers.
 */
import { Type } from 'typebox';
import { ATTRIBUTE_PARAMS, LOG_FILTER_PARAMS } from '../logs/logs-operations.ts';
import type { Operation } from '../openapi/operation.ts';

const { from: _from, to: _to, ...FILTER_PARAMS } = LOG_FILTER_PARAMS;

const CURSOR_NOTE = 'The id of the last event that was received: goes on after it';

export const TailQuery = Type.Object(
  {
    ...FILTER_PARAMS,
    cursor: Type.Optional(Type.String({ description: `${CURSOR_NOTE}, as the header does` })),
  },
  ATTRIBUTE_PARAMS,
);

const DESCRIPTION = `Server-sent events. \`log\` is a log as \`GET /logs\` has it; \`gap\`
\`{"count","from","to"}\` says how many logs of the filter were left out, and their earliest and latest time, because
the client read too slowly or was away for more than an hour; \`heartbeat\` comes every 15 seconds.

The order is that of storing: late logs come when they are stored, whatever their time. They are told a moment after
that, from the pipeline itself; while other programs store logs in the same database, from ClickHouse, one to two
seconds after it. What a replay puts back, and what took ClickHouse more than 30 seconds to store, is not shown.

Regular expressions are held against every log that is stored. Repetitions written out, those of one tail have at most
600 steps together (else 422), those of all tails of a user 3,000 (else 429). A tail whose expressions take too long
all the same ends with an event \`end\` \`{"code","detail"}\` as its last one, and is refused with 422 for a minute.

Every event has an id. Sent back, in the header or as \`cursor\`, with the same filter, the stream goes on after that
event without a hole and without a repeat. The stream ends when the login, the user or the key does. Browsers, which
cannot send headers here, use \`?ticket=\`, a new one for each stream.`;

const EXAMPLE = `event: log
id: pO4x…
data: {"id":"019c1403-2c00-7000-8000-010000000007","timestamp":"2026-01-31T12:00:00.000000Z","message":"started"}

event: gap
id: Zm9v…
data: {"count":12,"from":"2026-01-31T12:00:00.000000Z","to":"2026-01-31T12:00:02.500000Z"}

event: heartbeat
id: c2Vl…
data: {"time":"2026-01-31T12:00:15.000000Z"}

`;

export const TAIL_LOGS: Operation = {
  id: 'tailLogs',
  summary: 'Logs as they are stored',
  description: DESCRIPTION,
  tag: 'logs',
  query: TailQuery,
  headers: { 'Last-Event-ID': Type.String({ description: CURSOR_NOTE }) },
  answers: {
    200: {
      description: 'Events without an end',
      content: { 'text/event-stream': { schema: Type.String(), example: EXAMPLE } },
    },
  },
  problems: ['unprocessable', 'too_many_requests'],
};
