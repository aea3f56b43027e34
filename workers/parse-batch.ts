/**
 * Entry of a parse worker: unpacks a task, calls the parser, moves the blocks back.
 */
import { workerData } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { frameBodies } from '../src/collect/framing.ts';
import { failpointSync, shareFailpoints } from '../src/failpoints.ts';
import { shrinkHeap } from '../src/give-back-memory.ts';
import { BatchParser } from '../src/pipeline/batch-parser.ts';
import type {
  FrameResult,
  FrameTask,
  ParseResult,
  ParseTask,
  ParseWorkerData,
  TrimTask,
} from '../src/pipeline/parse-protocol.ts';

const data = workerData as ParseWorkerData;
shareFailpoints(data.failpoints);
let parser = new BatchParser(data);

export default function run(
  task: ParseTask | FrameTask | TrimTask,
): ParseResult | FrameResult | Promise<void> {
  switch (task.kind) {
    case 'parse':
      failpointSync('worker');
      return moved(parser.parse(task), blocksOf);
    case 'frame':
      return moved(frameBodies(task), (result) => [result.batches]);
    case 'trim':
      parser = new BatchParser(data);
      return shrinkHeap();
    default:
      return task satisfies never;
  }
}

function blocksOf(result: ParseResult): ArrayBuffer[] {
  return [...result.logs, ...result.deadLetters].map((block) => block.bytes);
}

/** Marks the buffers of a result so that Piscina moves them instead of copying. */
function moved<T extends object>(value: T, buffersOf: (value: T) => ArrayBuffer[]): T {
  const transferable = { [transferableSymbol]: buffersOf(value), [valueSymbol]: value };
  return move(transferable) as unknown as T;
}
