/**
 * Ctrl-C and SIGTERM for commands that work until told to stop: the first asks for an orderly end,
 * the second ends at once.
 */

export interface StopSignal {
  readonly signal: AbortSignal;
  /** Takes the handlers away again. */
  release(): void;
}

const EXIT_INTERRUPTED = 130;

let listening: StopSignal | undefined;

/** Listens, unless the program does so already: `up` and `process` do from their first moment on. */
export function listenForStop(): StopSignal {
  listening ??= listen();
  return listening;
}

function listen(): StopSignal {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(EXIT_INTERRUPTED);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    release() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
      listening = undefined;
    },
  };
}
