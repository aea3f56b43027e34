/**
 * Schemas of the lists of management: short ones, read in full rows, without figures of the query.
 */
import { type TSchema, Type } from 'typebox';
import { CursorParam, LimitParam, PageInfo } from './openapi/schemas.ts';

/** `{data, page}` of one kind of thing. */
export function ListOf<S extends TSchema>(item: S, id: string) {
  return Type.Object({ data: Type.Array(item), page: PageInfo }, { $id: id, additionalProperties: false });
}

export function exampleList(...data: readonly unknown[]) {
  return { data, page: pageInfo(100, null) };
}

export const ListQuery = Type.Object({ limit: LimitParam, cursor: CursorParam });

/** Lists go forward only. */
export function pageInfo(limit: number, next: string | null) {
  return { next, prev: null, limit, total: null };
}

export const IfMatchHeader = {
  'If-Match': Type.String({ description: 'ETag of what was read; 412 when it was changed since' }),
};
export const ETAG_HEADER = { ETag: 'Version of what is answered, for `If-Match`' };
