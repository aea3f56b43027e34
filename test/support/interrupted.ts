/**
 * What another program does at the worst moment of a change.
 */
import type { QueryPort } from '../../src/pipeline/query-port.ts';

export type Moment = 'query' | 'insert';

/** The store of a program during which `meanwhile` is done once: after its first query, or before its first insert. */
export function interrupted(store: QueryPort, moment: Moment, meanwhile: () => Promise<unknown>): QueryPort {
  let isDone = false;
  const atMoment = async (now: Moment) => {
    if (now !== moment || isDone) return;
    isDone = true;
    await meanwhile();
  };
  return {
    select: (...args) => store.select(...args),
    stream: (...args) => store.stream(...args),
    query: async <T>(...args: Parameters<QueryPort['query']>) => {
      const rows = await store.query<T>(...args);
      await atMoment('query');
      return rows;
    },
    insertJson: async (...args) => {
      await atMoment('insert');
      await store.insertJson(...args);
    },
  };
}
