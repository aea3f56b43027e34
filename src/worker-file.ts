/**
 * Where the entry of a thread or child process lies. From `dist` it is plain JavaScript; from the sources (tests,
 * development) it is TypeScript, which a new thread can only load with a loader of its own.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export interface WorkerFile {
  readonly url: URL;
  /** Flags for the new Node: give them to `Worker`, Piscina or `spawn` as they are. */
  readonly execArgv: string[];
}

/** `name` is the file's name in `workers/` without its ending, such as `parse-batch`. */
export function workerFile(name: string): WorkerFile {
  if (!import.meta.url.endsWith('.ts')) {
    return { url: new URL(`../workers/${name}.js`, import.meta.url), execArgv: [] };
  }
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return { url: new URL(`../workers/${name}.ts`, import.meta.url), execArgv: ['--import', loader] };
}
