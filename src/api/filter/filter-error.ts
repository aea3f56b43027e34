/**
 * What is said when a filter cannot be meant: what is wrong, the place with a caret under it, and what was probably
 * meant.
 */
import { MillraceError } from '../../errors.ts';
import { badParameter } from '../problem.ts';

export interface FaultHint {
  readonly suggestion?: string | undefined;
  /** Characters into the value that the error is about. */
  readonly at?: number;
}

/** Makes the error about one value of a query, wherever it was written. */
export type Fail = (problem: string, hint?: FaultHint) => MillraceError;

/** A value as it was written. */
export interface Value {
  readonly text: string;
  readonly fail: Fail;
}

const EXCERPT_BEFORE = 30;
const EXCERPT_AFTER = 20;

/** About a whole query parameter. */
export function parameterFail(parameter: string): Fail {
  return (problem, { suggestion } = {}) =>
    badParameter(parameter, sentence(`${parameter}: ${problem}`, suggestion), suggestion);
}

/** A character of the text of `filter=`, by its index in UTF-16. */
interface Place {
  readonly source: string;
  readonly index: number;
}

/** What is wrong at a character of `filter=`. */
export function filterFault({ source, index }: Place, problem: string, suggestion?: string): MillraceError {
  const position = characterCount(source.slice(0, index));
  const said = sentence(problem, suggestion);
  const detail = `filter, character ${position + 1}: ${said}\n${excerpt(source, index)}`;
  const fault = {
    detail: said,
    parameter: 'filter',
    position,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
  return new MillraceError('bad_request', detail, { faults: [fault] });
}

function sentence(problem: string, suggestion: string | undefined): string {
  return suggestion === undefined ? `${problem}.` : `${problem}. Did you mean ${suggestion}?`;
}

/** Two lines: the text around the place, and a caret under it. */
function excerpt(source: string, index: number): string {
  const cut = source.slice(Math.max(0, index - EXCERPT_BEFORE), index);
  const before = `${index > EXCERPT_BEFORE ? '…' : ''}${visible(cut)}`;
  const after = source.slice(index, index + EXCERPT_AFTER);
  const line = `${before}${visible(after)}${index + EXCERPT_AFTER < source.length ? '…' : ''}`;
  return `${line}\n${' '.repeat(characterCount(before))}^`;
}

/** Nothing that breaks the line or hides: controls and halves of surrogate pairs as a dot. */
function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, '·');
}

/** Code points. */
function characterCount(text: string): number {
  return Array.from(text).length;
}
