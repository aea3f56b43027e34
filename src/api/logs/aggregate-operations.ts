/**
 * What the routes take and answer that count logs.
 */
import { Type } from 'typebox';
import { jsonAnswer, type Operation } from '../openapi/operation.ts';
import { Count, EXAMPLE_META, EXAMPLE_TIME, QueryMeta, Timestamp } from '../openapi/schemas.ts';
import { ATTRIBUTE_PARAMS, LOG_FILTER_PARAMS } from './logs-operations.ts';

const MAX_VALUES = 100;
const WIDENED = 'where counts by minute or hour can answer, it is widened to whole ones';

const RANGE_PARAMS = {
  ...LOG_FILTER_PARAMS,
  from: Type.String({ default: 'now-1h', description: `Start, inclusive; ${WIDENED}` }),
  to: Type.String({ default: 'now', description: `End, exclusive; ${WIDENED}` }),
};

const HistogramQuery = Type.Object(
  {
    ...RANGE_PARAMS,
    interval: Type.Optional(
      Type.String({ description: 'Such as `30s`, `5m` or `1h`; by itself such that there are at most 300' }),
    ),
  },
  ATTRIBUTE_PARAMS,
);

const Histogram = Type.Object(
  {
    from: Timestamp,
    to: Timestamp,
    interval_seconds: Type.Integer({ minimum: 1 }),
    total: Count(),
    series: Type.Array(
      Type.Object({
        time: Timestamp,
        count: Count(),
        by_level: Type.Record(Type.String(), Count(), {
          description: '`UNSET` for logs without a level, `OTHER` for levels of a name of their own',
        }),
      }),
      { description: 'Every interval, empty ones too; the first and the last may be cut by the range' },
    ),
    meta: QueryMeta,
  },
  { $id: 'LogHistogram' },
);

export const LOG_HISTOGRAM: Operation = {
  id: 'getLogHistogram',
  summary: 'How many logs there are over time, by level',
  tag: 'logs',
  query: HistogramQuery,
  answers: {
    200: jsonAnswer('The counts', Histogram, {
      from: EXAMPLE_TIME,
      to: '2026-01-31T12:01:00.000000Z',
      interval_seconds: 60,
      total: 12,
      series: [{ time: EXAMPLE_TIME, count: 12, by_level: { INFO: 10, ERROR: 2 } }],
      meta: EXAMPLE_META,
    }),
  },
  problems: ['unprocessable'],
};

export const FacetsQuery = Type.Object(
  {
    ...RANGE_PARAMS,
    field: Type.Array(Type.String(), {
      description: 'One of at most 10: such as `service`, `level`, `http.status` or `attr.<key>`',
    }),
    limit: Type.Integer({ minimum: 1, maximum: MAX_VALUES, default: 10, description: 'Most values of each' }),
  },
  ATTRIBUTE_PARAMS,
);

const Facets = Type.Object(
  {
    from: Timestamp,
    to: Timestamp,
    facets: Type.Array(
      Type.Object({
        field: Type.String(),
        values: Type.Array(Type.Object({ value: Type.String(), count: Count() }), {
          description: 'The most frequent first',
        }),
        distinct: Count('Values that there are'),
        other: Count('Logs with a value that is not listed'),
        missing: Count('Logs without the field'),
      }),
      { description: 'In the order asked for' },
    ),
    meta: QueryMeta,
  },
  { $id: 'LogFacets' },
);

export const LOG_FACETS: Operation = {
  id: 'getLogFacets',
  summary: 'The most frequent values of fields',
  tag: 'logs',
  query: FacetsQuery,
  answers: {
    200: jsonAnswer('The values', Facets, {
      from: EXAMPLE_TIME,
      to: '2026-01-31T13:00:00.000000Z',
      facets: [
        { field: 'service', values: [{ value: 'sshd', count: 12 }], distinct: 1, other: 0, missing: 3 },
      ],
      meta: EXAMPLE_META,
    }),
  },
  problems: ['unprocessable'],
};
