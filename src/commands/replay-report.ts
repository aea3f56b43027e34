/**
 * What `millrace replay` prints: the plan before, the result after.
 */
import { clipText, type PlannedRange } from '../replay/plan.ts';
import type { ReplayMode } from '../replay/ports.ts';
import type { ReplayTally } from '../replay/run.ts';
import type { RewrittenPartition, StoredCounts } from '../store/replay-facts.ts';
import { formatCount } from './output.ts';
import { formatBytes } from './progress.ts';

export interface ReplayPlan {
  readonly topic: string;
  readonly mode: ReplayMode;
  readonly ranges: readonly PlannedRange[];
  /** In the order of the ranges. */
  readonly stored: readonly StoredCounts[];
  /** `replace` only. */
  readonly rewritten: readonly RewrittenPartition[];
}

export function offsetCountOf(ranges: readonly PlannedRange[]): number {
  return ranges.reduce((sum, { fromOffset, toOffset }) => sum + toOffset - fromOffset, 0);
}

export function planJson({ topic, mode, ranges, stored, rewritten }: ReplayPlan): object {
  return {
    topic,
    mode,
    records: offsetCountOf(ranges),
    partitions: ranges.map(({ partition, fromOffset, toOffset, clips }, i) => ({
      partition,
      from: fromOffset,
      to: toOffset,
      records: toOffset - fromOffset,
      stored_rows: stored[i]?.rowCount ?? 0,
      dead_letters: stored[i]?.letterCount ?? 0,
      clipped: clips.map((clip) => ({
        reason: clip.reason,
        asked: clip.askedOffset,
        offset: clip.offset,
        detail: clipText(clip),
      })),
    })),
    ...(mode === 'replace' && {
      rewritten: rewritten.map(({ day, retentionDays, rowCount, bytes }) => ({
        day,
        retention_days: retentionDays,
        rows: rowCount,
        bytes,
      })),
    }),
  };
}

export function planText({ topic, mode, ranges, stored, rewritten }: ReplayPlan): string {
  const cells = [
    ['partition', 'from', 'to', 'records', 'rows stored', 'dead letters'],
    ...ranges.map(({ partition, fromOffset, toOffset }, i) =>
      [
        partition,
        fromOffset,
        toOffset,
        toOffset - fromOffset,
        stored[i]?.rowCount ?? 0,
        stored[i]?.letterCount ?? 0,
      ].map(String),
    ),
  ];
  const widths =
    cells[0]?.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0))) ?? [];
  const table = cells.map((row) => row.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  '));
  const clips = ranges.flatMap(({ partition, clips }) =>
    clips.map((clip) => `clipped    partition ${partition}: ${clipText(clip)}`),
  );
  return [
    `replay of ${topic}, mode ${mode}: ${formatCount(offsetCountOf(ranges))} offsets (some may hold no record)`,
    ...table,
    ...clips,
    ...rewrittenText(mode, rewritten),
  ].join('\n');
}

function rewrittenText(mode: ReplayMode, rewritten: readonly RewrittenPartition[]): string[] {
  if (mode !== 'replace') return [];
  const lines = rewritten.map(
    ({ day, retentionDays, rowCount, bytes }) =>
      `rewritten  ${day}, kept for ${retentionDays} days: ${formatCount(rowCount)} rows, ${formatBytes(bytes)}`,
  );
  return [
    ...lines,
    'Nothing can be stored while the new rows take their place; running programs wait and go on.',
  ];
}

export function tallyJson(tally: ReplayTally): object {
  const { readCount, filteredCount, heldCount, rowCount, letterCount, keptCount } = tally;
  return {
    read: readCount,
    rows: rowCount,
    dead_letters: letterCount,
    filtered: filteredCount,
    kept_rows: keptCount,
    held_letters: heldCount,
  };
}

export function tallyText(mode: ReplayMode, tally: ReplayTally): string {
  const { readCount, rowCount, letterCount, keptCount, heldCount } = tally;
  const rows = mode === 'missing' ? 'missing rows stored' : 'rows now in the place of the old ones';
  const lines = [
    `${formatCount(readCount)} records read: ${formatCount(rowCount)} ${rows}, ${formatCount(letterCount)} dead letters added.`,
  ];
  if (keptCount > 0)
    lines.push(`${formatCount(keptCount)} rows stay as they were: Kafka no longer has their records.`);
  if (heldCount > 0)
    lines.push(
      `${formatCount(heldCount)} dead letters were left alone: ClickHouse refused them or they killed workers.`,
    );
  return lines.join('\n');
}
