/**
 * Makes the answer of `/metrics/summary` out of the rows of its statements.
 */
import { formatTime } from '../time-input.ts';
import { intervalsOf, type SummaryRange } from './summary-range.ts';
import { type Trend, trendOf } from './trend.ts';

/** One metric over one stretch of time. Marks are the quantiles 0.5, 0.95 and 0.99. */
export interface Cell {
  readonly samples: number;
  readonly avg: number | null;
  readonly least: number | null;
  readonly most: number | null;
  readonly marks: readonly (number | null)[];
}

/** A metric as read: the range, the period before it, and the intervals by their start in seconds. */
export interface MetricCells {
  total: Cell | undefined;
  previous: Cell | undefined;
  readonly slots: Map<number, Cell>;
}

export interface EventCounts {
  readonly slots: ReadonlyMap<number, number>;
  readonly levels: ReadonlyMap<string, number>;
  readonly services: readonly { readonly service: string; readonly count: number }[];
}

const METRIC_UNITS = {
  cpu_usage: 'percent',
  memory_usage: 'percent',
  memory_used: 'bytes',
  network_rx: 'bytes_per_second',
  network_tx: 'bytes_per_second',
} as const;
type MetricName = keyof typeof METRIC_UNITS;

export type Metrics = Readonly<Record<MetricName, MetricCells>>;

interface MetricSummary {
  readonly unit: string;
  readonly avg: number | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly samples: number;
  readonly trend: Trend;
}

export function newMetricCells(): MetricCells {
  return { total: undefined, previous: undefined, slots: new Map() };
}

/** Files one row under what it stands for. */
export function addCell(
  cells: MetricCells,
  row: { readonly isCurrent: boolean; readonly isTotal: boolean; readonly slot: number },
  cell: Cell,
): void {
  if (row.isTotal && row.isCurrent) cells.total = cell;
  else if (row.isTotal) cells.previous = cell;
  else if (row.isCurrent) cells.slots.set(row.slot, cell);
}

export interface SummaryParts {
  readonly metrics: Metrics;
  readonly events: EventCounts;
  readonly topHosts: readonly object[];
}

export function toSummary(range: SummaryRange, { metrics, events, topHosts }: SummaryParts): object {
  const names = Object.keys(METRIC_UNITS) as MetricName[];
  const counts = [...events.slots.values()];
  return {
    from: formatTime(range.fromS * 1e6),
    to: formatTime(range.toS * 1e6),
    interval_seconds: range.intervalS,
    metrics: Object.fromEntries(names.map((name) => [name, summaryOf(name, metrics[name], range)])),
    events: {
      total: counts.reduce((sum, count) => sum + count, 0),
      by_level: Object.fromEntries(events.levels),
      by_service: events.services,
    },
    series: intervalsOf(range).map((start) => ({
      time: formatTime(start * 1e6),
      events: events.slots.get(start) ?? 0,
      ...Object.fromEntries(names.map((name) => [name, pointOf(metrics[name].slots.get(start))])),
    })),
    top_hosts: topHosts,
  };
}

function summaryOf(
  name: MetricName,
  { total, previous, slots }: MetricCells,
  range: SummaryRange,
): MetricSummary {
  const points = intervalsOf(range).flatMap((start) => {
    const value = slots.get(start)?.avg ?? null;
    return value === null ? [] : [{ time: start + range.intervalS / 2, value }];
  });
  const current = total?.avg ?? null;
  const [p50 = null, p95 = null, p99 = null] = isEmpty(total) ? [] : total.marks;
  return {
    unit: METRIC_UNITS[name],
    avg: current,
    min: total?.least ?? null,
    max: total?.most ?? null,
    p50,
    p95,
    p99,
    samples: total?.samples ?? 0,
    trend: trendOf(points, { current, previous: previous?.avg ?? null }),
  };
}

function isEmpty(cell: Cell | undefined): cell is undefined {
  return cell === undefined || cell.samples === 0;
}

function pointOf(cell: Cell | undefined) {
  const { avg = null, least = null, most = null, samples = 0 } = cell ?? {};
  return { avg, min: least, max: most, samples };
}
