/**
 * Passwords for commands: from a file, from standard input, or typed at a prompt that does not show them.
 * Never from arguments, where other users of the machine can read them.
 */
import { readFileSync } from 'node:fs';
import { errorMessage, MillraceError, quoteValue } from '../errors.ts';
import { Secret } from '../secret.ts';

export interface SecretSource {
  /** Path of a file whose first line is the secret; `-` is standard input. */
  readonly file?: string | undefined;
  /** What the prompt asks for. */
  readonly prompt: string;
  /** Ask twice, for a new password. */
  readonly isNew?: boolean;
}

/** @throws MillraceError `usage` for a file that cannot be read, an empty secret, or two that differ. */
export async function readSecret(source: SecretSource): Promise<Secret> {
  if (source.file !== undefined)
    return firstLine(source.file === '-' ? readFileSync(0, 'utf8') : readSecretFile(source.file));
  if (!process.stdin.isTTY) return firstLine(readFileSync(0, 'utf8'));
  const first = await ask(`${source.prompt}: `);
  if (source.isNew === true && (await ask('Again: ')).reveal() !== first.reveal()) {
    throw new MillraceError('usage', 'the two passwords differ; nothing was changed');
  }
  return first;
}

function readSecretFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new MillraceError('usage', `Cannot read ${quoteValue(path)}: ${errorMessage(error)}.`, {
      cause: error,
    });
  }
}

function firstLine(text: string): Secret {
  const line = text.split(/\r?\n/, 1)[0] ?? '';
  if (line === '') {
    throw new MillraceError(
      'usage',
      'no password was given on the prompt, standard input or --password-file',
    );
  }
  return new Secret(line);
}

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACES = new Set(['\u007F', '\b']);

/** Reads one line from the terminal without showing it. */
function ask(prompt: string): Promise<Secret> {
  const { stdin, stderr } = process;
  // Before the prompt: whoever types at once must not be echoed.
  stdin.setRawMode(true);
  stderr.write(prompt);
  stdin.setEncoding('utf8');
  stdin.resume();
  return new Promise((resolve, reject) => {
    let typed = '';
    const end = (finish: () => void): void => {
      stdin.setRawMode(false);
      stdin.pause();
      stdin.off('data', onData);
      stderr.write('\n');
      finish();
    };
    const onData = (chunk: string): void => {
      for (const character of chunk) {
        if (character === CTRL_C) {
          end(() => reject(new MillraceError('usage', 'cancelled')));
          return;
        }
        if (character === '\r' || character === '\n' || character === CTRL_D) {
          end(() =>
            typed === ''
              ? reject(new MillraceError('usage', 'the password is empty'))
              : resolve(new Secret(typed)),
          );
          return;
        }
        typed = BACKSPACES.has(character) ? typed.slice(0, -1) : typed + character;
      }
    };
    stdin.on('data', onData);
  });
}
