import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { GENERATED_PARTS, withPart } from '../../bench/support/generated-docs.ts';
import { PACKAGE_ROOT } from '../../src/package-info.ts';

describe('documentation', () => {
  test.each(GENERATED_PARTS.map((part) => [`${part.file}: ${part.name}`, part] as const))(
    '%s is what the code says (npm run docs writes it)',
    (_title, part) => {
      expect(readFileSync(join(PACKAGE_ROOT, part.file), 'utf8')).toBe(withPart(part));
    },
  );
});
