/**
 * Writes the generated parts of README.md: the settings from their table, the figures from bench/results.
 *   npm run readme
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { settingsMarkdown } from '../src/config/show.ts';
import { PACKAGE_ROOT } from '../src/package-info.ts';
import { figuresMarkdown } from './support/figures.ts';

const path = join(PACKAGE_ROOT, 'README.md');

function replacePart(text: string, part: string, content: string): string {
  const pattern = new RegExp(`(<!-- ${part} -->)[^]*?(<!-- /${part} -->)`);
  if (!pattern.test(text)) throw new Error(`README.md has no part "${part}"`);
  return text.replace(pattern, (_all, open: string, close: string) => `${open}\n${content.trim()}\n${close}`);
}

let text = readFileSync(path, 'utf8');
text = replacePart(text, 'settings', settingsMarkdown());
text = replacePart(text, 'figures', figuresMarkdown());
writeFileSync(path, text);
