/**
 * Schemas that several operations share: times, pages, and the query parameters that are the same everywhere.
 */
import { type TSchema, Type } from 'typebox';

/** RFC 3339 in UTC with six fraction digits, as `formatTime` writes it. */
export const Timestamp = Type.String({
  $id: 'Timestamp',
  description: 'RFC 3339 in UTC with six fraction digits',
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{6}Z$',
});
export const EXAMPLE_TIME = '2026-01-31T12:00:00.000000Z';

/** Text, numbers and times may be there or null. */
export function Nullable<S extends TSchema>(schema: S) {
  return Type.Union([schema, Type.Null()]);
}

/** A count that a double holds exactly. */
export function Count(description?: string) {
  return Type.Integer({ minimum: 0, ...(description === undefined ? {} : { description }) });
}

export const PageInfo = Type.Object(
  {
    next: Nullable(Type.String({ description: 'Cursor of the page after this one; null at the end' })),
    prev: Nullable(Type.String({ description: 'Cursor of the page before this one; null at the start' })),
    limit: Type.Integer({ minimum: 1 }),
    total: Nullable(Count('How many there are on all pages, where that was asked for')),
  },
  { $id: 'PageInfo' },
);

export const QueryMeta = Type.Object(
  {
    rows_read: Count('Rows that ClickHouse read for this answer'),
    elapsed_ms: Type.Number({ minimum: 0 }),
  },
  { $id: 'QueryMeta' },
);

/** `{data, page, meta}` of one kind of thing. */
export function PageOf<S extends TSchema>(item: S, id: string) {
  return Type.Object({ data: Type.Array(item), page: PageInfo, meta: QueryMeta }, { $id: id });
}

export const EXAMPLE_META = { rows_read: 8192, elapsed_ms: 3.1 };

export function examplePage(...data: readonly unknown[]) {
  const page = { next: null, prev: null, limit: 100, total: null };
  return { data, page, meta: EXAMPLE_META };
}

export const FromParam = Type.Optional(
  Type.String({ description: 'Start, inclusive: RFC 3339, or such as `now-15m` (s, m, h, d, w)' }),
);
export const ToParam = Type.Optional(Type.String({ description: 'End, exclusive, in the same forms' }));
export const LimitParam = Type.Integer({
  minimum: 1,
  maximum: 1000,
  default: 100,
  description: 'Most rows of one page',
});
export const CursorParam = Type.Optional(
  Type.String({ description: '`next` or `prev` of an earlier page of the same query' }),
);

/** A parameter that may be repeated: any of the values. */
export function AnyOf(description: string) {
  return Type.Optional(Type.Array(Type.String(), { description }));
}
