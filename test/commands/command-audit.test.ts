/**
 * The audit of a command whose change went through.
 */
import { expect, it, vi } from 'vitest';
import { auditCommand } from '../../src/commands/command-audit.ts';
import { MillraceError } from '../../src/errors.ts';

it('warns when the row cannot be written, and does not fail', async () => {
  const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const insertJson = () => Promise.reject(new MillraceError('store_unavailable', 'No answer.'));
    await auditCommand({ insertJson }, { action: 'user.change', target: 'ann', detail: {} });
    expect(written.mock.calls.map(([text]) => text)).toEqual([
      'millrace: warning: It went through, but is not in the audit: No answer.\n',
    ]);
  } finally {
    written.mockRestore();
  }
});
