/**
 * Where the entry of a thread or child process lies. From `dist` it is plain JavaScript; from the sources (tests,
 * development) it is TypeScript, which a new thread can only load with a loader of its own.
 */
export interface WorkerFile {
  /** For Piscina and `spawn`. */
  readonly url: URL;
  /** For `new Worker(…)`, where the flags alone do not make Node 20 load TypeScript. Needs no flags. */
  readonly threadEntry: URL;
  /** Flags for the new Node: give them to Piscina or `spawn` as they are. */
  readonly execArgv: string[];
}

/** `name` is the file's name in `workers/` without its ending, such as `parse-batch`. */
export function workerFile(name: string): WorkerFile {
  if (!import.meta.url.endsWith('.ts')) {
    const url = new URL(`../workers/${name}.js`, import.meta.url);
    return { url, threadEntry: url, execArgv: [] };
  }
  const url = new URL(`../workers/${name}.ts`, import.meta.url);
  const loaderApi = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const bridge = `import { register } from ${loaderApi}; register(); await import(${JSON.stringify(url.href)});`;
  const threadEntry = new URL(`data:text/javascript,${encodeURIComponent(bridge)}`);
  // `--import tsx` does nothing in a thread whose process runs under tsx already.
  const loader = `data:text/javascript,${encodeURIComponent(`import { register } from ${loaderApi}; register();`)}`;
  return { url, threadEntry, execArgv: ['--import', loader] };
}
