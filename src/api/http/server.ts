/**
 * Chooses the HTTP server: uWebSockets.js where it loads, else node:http.
 */
import { errorMessage } from '../../errors.ts';
import type { Telemetry } from '../../telemetry.ts';
import { createNodeServer } from './node-server.ts';
import type { HttpServer, HttpServerOptions } from './port.ts';
import { loadUws, type UwsLibrary } from './uws-binding.ts';
import { createUwsServer } from './uws-server.ts';

export type HttpServerChoice = 'auto' | 'uws' | 'node';

/** With `uws` a library that cannot be loaded is an error; with `auto` it is one line of the log. */
export function createHttpServer(
  choice: HttpServerChoice,
  options: HttpServerOptions,
  telemetry: Telemetry,
): HttpServer {
  const library = choice === 'node' ? undefined : load(choice, telemetry);
  return library === undefined ? createNodeServer(options) : createUwsServer(library, options);
}

function load(choice: 'auto' | 'uws', telemetry: Telemetry): UwsLibrary | undefined {
  try {
    return loadUws();
  } catch (error) {
    if (choice === 'uws') throw error;
    telemetry.emit('http_fallback', { error: errorMessage(error) });
    return undefined;
  }
}
