/**
 * What the routes of logs take and answer.
 */
import { Type } from 'typebox';
import { MAX_FILTER_CHARACTERS } from '../filter/tokens.ts';
import { jsonAnswer, jsonContent, type Operation } from '../openapi/operation.ts';
import {
  AnyOf,
  CursorParam,
  examplePage,
  FromParam,
  LimitParam,
  PageOf,
  QueryMeta,
  ToParam,
} from '../openapi/schemas.ts';
import { EXAMPLE_LOG, Log } from './log-schema.ts';

/** Parameters that choose logs, wherever logs are listed or counted. */
export const LOG_FILTER_PARAMS = {
  from: FromParam,
  to: ToParam,
  service: AnyOf('Service that wrote it'),
  host: AnyOf('Host it was written on'),
  environment: AnyOf('Such as `prod`'),
  level: AnyOf('By any of its names, such as `warn`; `unset` for none'),
  min_level: Type.Optional(Type.String({ description: 'This level or a more severe one, such as `warn`' })),
  source: AnyOf('Topic, or kind of source such as `http`'),
  ip: AnyOf('Address it came from or went to'),
  source_ip: AnyOf('Address it came from'),
  destination_ip: AnyOf('Address it went to'),
  user: AnyOf('User it is about'),
  process: AnyOf('Name of the process'),
  threat: AnyOf('Name of a threat in it'),
  threat_severity: AnyOf('Severity of a threat in it, such as `high`'),
  trace_id: AnyOf('Trace it belongs to'),
  correlation_id: AnyOf('Correlation id'),
  q: Type.Optional(Type.String({ description: 'All of these words, and "phrases", stand in the message' })),
  filter: Type.Optional(
    Type.String({
      maxLength: MAX_FILTER_CHARACTERS,
      description: 'The language of filters, such as `level >= warn and not service in ("shop", "search")`',
    }),
  ),
};

/** For the options of a query's schema that has `LOG_FILTER_PARAMS`. */
export const ATTRIBUTE_PARAMS = {
  patternProperties: {
    '^attr\\..+$': Type.Array(Type.String(), {
      description: '`attr.<key>=value`: value of that key of the metadata',
    }),
  },
};

/** Rows on each side of a log. */
const MAX_CONTEXT = 100;

export const LogsQuery = Type.Object(
  {
    ...LOG_FILTER_PARAMS,
    limit: LimitParam,
    cursor: CursorParam,
    order: Type.Enum(['desc', 'asc'], { default: 'desc', description: 'By time: newest or oldest first' }),
    count: Type.Optional(
      Type.Enum(['exact', 'estimate'], { description: 'Gives `page.total`; an estimate costs little' }),
    ),
  },
  ATTRIBUTE_PARAMS,
);

const EXPORT_NOTE = `A parameter that is repeated means any of its values; different parameters must all hold.

Walking the pages gives every log that was there at the first one exactly once; newer ones may appear, never twice.

With \`Accept: application/x-ndjson\` or \`text/csv\` everything that was there when it began is
streamed, without a cap (\`limit\` gives the first ones only; there is no \`cursor\` and no \`count\`). A
complete stream ends in a line that says so:
\`{"end":true,"rows":n}\`, or in CSV \`#end\` and the number of logs in the first two columns. A stream that breaks off
lacks it, and its connection is cut. In CSV a text that a spreadsheet would take for a formula begins with \`'\`; every
text is in quotes, and lists and objects are JSON.`;

const EXAMPLE_LINES = `${JSON.stringify(EXAMPLE_LOG)}\n{"end":true,"rows":1}\n`;
const EXAMPLE_TABLE =
  'id,timestamp,…\r\n"019c1403-2c00-7000-8000-010000000007","2026-01-31T12:00:00.000000Z",…\r\n#end,1,…\r\n';

export const LIST_LOGS: Operation = {
  id: 'listLogs',
  summary: 'Logs, newest first',
  description: EXPORT_NOTE,
  tag: 'logs',
  query: LogsQuery,
  answers: {
    200: {
      description: 'One page, or all as lines',
      content: {
        ...jsonContent(PageOf(Log, 'LogPage'), examplePage(EXAMPLE_LOG)),
        'application/x-ndjson': { schema: Type.String(), example: EXAMPLE_LINES },
        'text/csv': { schema: Type.String(), example: EXAMPLE_TABLE },
      },
      headers: { Link: 'The pages around this one, as `rel="next"` and `rel="prev"`' },
    },
  },
  problems: ['not_acceptable', 'unprocessable', 'too_many_requests'],
};

export const LogQuery = Type.Object({
  context: Type.Integer({
    minimum: 0,
    maximum: MAX_CONTEXT,
    default: 0,
    description: 'Logs to show before and after it, of the same host and service, within a day',
  }),
});

const LogInContext = Type.Object(
  {
    ...Log.properties,
    context: Type.Optional(
      Type.Object(
        { before: Type.Array(Log), after: Type.Array(Log) },
        { description: 'Where `context` is given; both oldest first' },
      ),
    ),
    meta: Type.Optional(QueryMeta),
  },
  { $id: 'LogInContext' },
);

export const GET_LOG: Operation = {
  id: 'getLog',
  summary: 'One log, or a log among its neighbours',
  tag: 'logs',
  query: LogQuery,
  headers: { 'If-None-Match': Type.String({ description: 'The ETag of an earlier answer' }) },
  answers: {
    200: {
      ...jsonAnswer('The log; without context it never changes and may be cached', LogInContext, EXAMPLE_LOG),
      headers: { ETag: 'Of the log without context' },
    },
    304: { description: 'The log is the one that the client has' },
  },
  problems: ['not_found', 'unprocessable'],
};
