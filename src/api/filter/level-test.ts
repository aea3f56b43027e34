/**
 * Tests of `level`. Equality is about the level's stored name, which is the name of its range: `err` is ERROR, and
 * `notice` is INFO. Order is about severity: a name that names a range stands for all of it, so that `<= warn` has
 * WARN2 and `> warn` has not; the finer names (`notice`, `crit`, `INFO2`) stand for their number.
 */
import { nearestName } from '../../config/did-you-mean.ts';
import { quoteValue } from '../../errors.ts';
import { LEVEL_NAMES, levelIndexOf, severityOfName } from '../../parse/severity.ts';
import { NO_LEVEL } from '../no-level.ts';
import type { Filter, Order } from './ast.ts';
import type { Value } from './filter-error.ts';

const NAMES: readonly string[] = LEVEL_NAMES.map((name) => new TextDecoder().decode(name));
const NUMBERS_OF_A_LEVEL = 4;

export function readLevelTest(operator: string, values: readonly Value[]): Filter {
  if (operator === '=' || operator === 'in') {
    return { kind: 'equals', field: 'level', values: values.flatMap(({ text }) => storedLevels(text)) };
  }
  const order = operator as Order;
  const [least, most] = severities(values[0]);
  const value = order === '<' || order === '>=' ? least : most;
  return { kind: 'compare', field: 'severity_number', order, value: String(value) };
}

/** Unknown levels are stored as they came; UNSET stands for none. */
function storedLevels(text: string): string[] {
  if (text.toUpperCase() === NO_LEVEL) return ['', text];
  return [NAMES[levelIndexOf(severityOf(text))] || text];
}

function severities(value: Value | undefined): readonly [least: number, most: number] {
  const text = value?.text ?? '';
  const severity = severityOf(text);
  if (severity === 0) {
    const suggestion = nearestName(text.toUpperCase(), NAMES.slice(1))?.toLowerCase();
    throw value?.fail(`${quoteValue(text)} must be a level such as warn`, { suggestion });
  }
  const isRange = (severity - 1) % NUMBERS_OF_A_LEVEL === 0;
  return [severity, isRange ? severity + NUMBERS_OF_A_LEVEL - 1 : severity];
}

function severityOf(name: string): number {
  const bytes = Buffer.from(name);
  return severityOfName(bytes, { start: 0, end: bytes.length });
}
