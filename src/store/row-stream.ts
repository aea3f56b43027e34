/**
 * Rows of an answer as they come. The client of ClickHouse no longer listens to the signal once an answer has begun,
 * and a generator that waits cannot be told to return: so the signal destroys what it waits for.
 */

interface Chunks<Row> extends AsyncIterable<readonly { json(): Row }[]> {
  destroy(error: Error): unknown;
}

/** Throws when the signal is aborted, also while it waits; the connection is closed then, which ends the query. */
export async function* rowsOf<Row>(
  chunks: Chunks<Row>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Row[]> {
  const leave = (): void => {
    chunks.destroy(new Error('The reader of the rows has left.'));
  };
  if (signal?.aborted === true) leave();
  signal?.addEventListener('abort', leave);
  try {
    for await (const chunk of chunks) yield chunk.map((row) => row.json());
  } finally {
    signal?.removeEventListener('abort', leave);
  }
}
