/**
 * What a route says of itself: the description from which `/openapi.json`, `/docs` and the typed client are made.
 * Its schemas are the ones that validate: `query` in the front, `body` in `readJson`; every answer that a test of the
 * API receives is held against `answers`.
 */
import type { TObject, TSchema } from 'typebox';
import type { ErrorCode } from '../../errors.ts';

/** Groups of operations, in the order of the reference page. */
export const TAGS = {
  auth: 'Logging in and out, tokens, the own account',
  ingest: 'Bringing logs in',
  logs: 'Finding, exporting and counting logs',
  metrics: 'Host metrics and counts, summed up',
  users: 'Users, their roles and scopes; API keys; the audit',
  pipeline: 'What the program did with what it received',
  probes: 'What the program says of itself; not under /api/v1',
} as const;
export type Tag = keyof typeof TAGS;

export interface Media {
  /** A schema with an `$id` becomes a component of that name; one name stands for one schema. */
  readonly schema: TSchema;
  /** Must match the schema. */
  readonly example: unknown;
}

/** By media type, such as `application/json`. */
export type Content = Readonly<Record<string, Media>>;

export interface Answer {
  readonly description: string;
  /** Absent: the answer has no body. */
  readonly content?: Content;
  /** Name → what it says. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Operation {
  /** Unique, verb first: `listLogs`. The typed client has a function of this name. */
  readonly id: string;
  /** A few words without a full stop. */
  readonly summary: string;
  /** Whole sentences, for what the summary leaves open. */
  readonly description?: string;
  readonly tag: Tag;
  /** Parameters of the path by name, where there is more to say than that they are text. */
  readonly params?: Readonly<Record<string, TSchema>>;
  /**
   * Query parameters, each with a description. The front refuses values that do not fit, and names outside unless
   * `additionalProperties` is true, with 400; handlers read with `readQuery`. An array is a parameter that may be
   * repeated; `patternProperties` name families such as `attr.<key>`.
   * Absent: the route has none.
   */
  readonly query?: TObject;
  /** Request headers that mean something here, besides Authorization. */
  readonly headers?: Readonly<Record<string, TSchema>>;
  readonly body?: Content;
  /** By status: success, and refusals with members of their own. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Refusals of this route besides those that every route has. */
  readonly problems?: readonly ErrorCode[];
}

/** A body or an answer that is JSON. */
export function jsonContent(schema: TSchema, example: unknown): Content {
  return { 'application/json': { schema, example } };
}

export function jsonAnswer(description: string, schema: TSchema, example: unknown): Answer {
  return { description, content: jsonContent(schema, example) };
}
