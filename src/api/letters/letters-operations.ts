/**
 * What the routes of dead letters take and answer.
 */
import { Type } from 'typebox';
import { DEAD_LETTER_REASONS } from '../../event/reasons.ts';
import { jsonAnswer, type Operation } from '../openapi/operation.ts';
import {
  AnyOf,
  CursorParam,
  EXAMPLE_TIME,
  examplePage,
  FromParam,
  LimitParam,
  Nullable,
  PageOf,
  ToParam,
} from '../openapi/schemas.ts';
import { Letter, type ShownLetter } from './letter-shape.ts';

const EXAMPLE: ShownLetter = {
  id: '019c1403-2c00-7000-8000-010000000007',
  reason: 'malformed_json',
  detail: 'Unexpected end of the record',
  source: { kind: 'kafka', topic: 'logs', partition: 0, offset: 7 },
  record_time: EXAMPLE_TIME,
  stored_at: EXAMPLE_TIME,
  records: 1,
  content: 'record',
  bytes: 21,
  is_sealed: true,
  redriven_at: null,
};

export const LettersQuery = Type.Object({
  reason: AnyOf(`Why it is no event: ${DEAD_LETTER_REASONS.join(', ')}`),
  source: AnyOf('Topic, or kind of source such as `http`'),
  from: FromParam,
  to: ToParam,
  limit: LimitParam,
  cursor: CursorParam,
});

export const LIST_LETTERS: Operation = {
  id: 'listDeadLetters',
  summary: 'Dead letters, newest first',
  tag: 'pipeline',
  query: LettersQuery,
  answers: { 200: jsonAnswer('One page', PageOf(Letter, 'DeadLetterPage'), examplePage(EXAMPLE)) },
};

const LetterWithPreview = Type.Object(
  {
    ...Letter.properties,
    preview: Nullable(Type.String({ description: 'Start of its text, values masked' })),
    preview_problem: Type.Optional(Type.String({ description: 'Why there is no preview' })),
  },
  { $id: 'DeadLetterWithPreview' },
);

export const GET_LETTER: Operation = {
  id: 'getDeadLetter',
  summary: 'One dead letter with a masked preview',
  description: 'Its bytes are for who can read the key file: `millrace dlq show --raw`.',
  tag: 'pipeline',
  answers: {
    200: jsonAnswer('The letter', LetterWithPreview, { ...EXAMPLE, preview: '{"password":"***"' }),
  },
  problems: ['not_found'],
};
