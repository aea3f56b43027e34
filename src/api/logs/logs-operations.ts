/**
 * What the routes of logs take and answer.
 */
import { Type } from 'typebox';
import { jsonAnswer, type Operation } from '../openapi/operation.ts';
import {
  AnyOf,
  CursorParam,
  examplePage,
  FromParam,
  LimitParam,
  PageOf,
  ToParam,
} from '../openapi/schemas.ts';
import { EXAMPLE_LOG, Log } from './log-schema.ts';

/** Parameters that choose logs, wherever logs are listed or counted. */
const LOG_FILTER_PARAMS = {
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
      maxLength: 4000,
      description: 'The language of filters, such as `level >= warn and not service in ("shop", "search")`',
    }),
  ),
};

/** For the options of a query's schema that has `LOG_FILTER_PARAMS`. */
const ATTRIBUTE_PARAMS = {
  patternProperties: {
    '^attr\\..+$': Type.Array(Type.String(), {
      description: '`attr.<key>=value`: value of that key of the metadata',
    }),
  },
};

const LogsQuery = Type.Object(
  {
    ...LOG_FILTER_PARAMS,
    limit: LimitParam,
    cursor: CursorParam,
    order: Type.Enum(['desc', 'asc'], { default: 'desc', description: 'By time: newest or oldest first' }),
  },
  ATTRIBUTE_PARAMS,
);

export const LIST_LOGS: Operation = {
  id: 'listLogs',
  summary: 'Logs, newest first',
  description: 'A parameter that is repeated means any of its values; different parameters must all hold.',
  tag: 'logs',
  query: LogsQuery,
  answers: { 200: jsonAnswer('One page', PageOf(Log, 'LogPage'), examplePage(EXAMPLE_LOG)) },
  problems: ['unprocessable'],
};

export const GET_LOG: Operation = {
  id: 'getLog',
  summary: 'One log',
  tag: 'logs',
  answers: { 200: jsonAnswer('The log, which never changes: it may be cached', Log, EXAMPLE_LOG) },
  problems: ['not_found'],
};
