/**
 * Writes the generated parts of the documentation: settings and errors from their tables, figures from bench/results.
 *   npm run docs
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../src/package-info.ts';
import { GENERATED_PARTS, withPart } from './support/generated-docs.ts';

for (const part of GENERATED_PARTS) writeFileSync(join(PACKAGE_ROOT, part.file), withPart(part));
