/** The parts of the documentation that are made from tables of the code and from results of benches. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { settingsMarkdown } from '../../src/config/show.ts';
import { ERROR_KINDS } from '../../src/errors.ts';
import { PACKAGE_ROOT } from '../../src/package-info.ts';
import { figuresMarkdown } from './figures.ts';

export interface GeneratedPart {
  /** Path below the package. */
  readonly file: string;
  /** Between `<!-- name -->` and `<!-- /name -->`. */
  readonly name: string;
  readonly content: () => string;
}

export const GENERATED_PARTS: readonly GeneratedPart[] = [
  { file: 'README.md', name: 'settings', content: settingsMarkdown },
  { file: 'README.md', name: 'figures', content: figuresMarkdown },
  { file: 'docs/errors.md', name: 'errors', content: errorsMarkdown },
];

/** The file with this part replaced by what it should be. */
export function withPart(part: GeneratedPart): string {
  const text = readFileSync(join(PACKAGE_ROOT, part.file), 'utf8');
  const pattern = new RegExp(`(<!-- ${part.name} -->)[^]*?(<!-- /${part.name} -->)`);
  if (!pattern.test(text)) throw new Error(`${part.file} has no part "${part.name}"`);
  const content = part.content().trim();
  return text.replace(pattern, (_all, open: string, close: string) => `${open}\n${content}\n${close}`);
}

function errorsMarkdown(): string {
  const rows = Object.entries(ERROR_KINDS).map(
    ([code, { status, isRetryable, title }]) =>
      `| \`${code}\` | ${status} | ${isRetryable ? 'yes' : 'no'} | ${title} |`,
  );
  return ['| code | HTTP status | worth retrying | title |', '|---|---|---|---|', ...rows].join('\n');
}
