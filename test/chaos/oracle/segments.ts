/** The record batches of a partition as they lie in the broker's own files, for what no reader can decode. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { splitBatches, type UndecodedBatch } from '../../../src/bus/undecoded-batches.ts';

/** In order. */
export async function readSegments(
  dataDirectory: string,
  { topic, partition }: { readonly topic: string; readonly partition: number },
): Promise<UndecodedBatch[]> {
  const directory = join(dataDirectory, `${topic}-${partition}`);
  const names = (await readdir(directory)).filter((name) => name.endsWith('.log')).toSorted();
  const batches = await Promise.all(
    names.map(async (name) => splitBatches(await readFile(join(directory, name)))),
  );
  return batches.flat();
}
