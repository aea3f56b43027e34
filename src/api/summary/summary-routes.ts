/**
 * `GET /metrics/summary`.
 */
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { HttpResponse } from '../http/port.ts';
import type { Statement } from '../logs/logs-sql.ts';
import { NO_LEVEL } from '../no-level.ts';
import { jsonResponse } from '../problem.ts';
import { selectLimited } from '../query-limits.ts';
import type { RequestContext, Route } from '../route.ts';
import { GET_SUMMARY } from './summary-operation.ts';
import { readSummaryRange } from './summary-range.ts';
import { addCell, type EventCounts, type Metrics, newMetricCells, toSummary } from './summary-shape.ts';
import { eventsStatement, hostsStatement, metricsStatement, networkStatement } from './summary-sql.ts';

export interface SummaryPorts {
  readonly store: QueryPort;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const TOP_HOSTS = 10;
const TOP_SERVICES = 100;

type Marks = readonly (number | null)[];

interface PeriodRow {
  readonly is_current: boolean | number;
  readonly slot: number;
  readonly is_total: number;
}

type Prefix = 'cpu' | 'memory' | 'used' | 'rate';
type CellRow<P extends Prefix> = { readonly [K in `${P}_samples`]: number } & {
  readonly [K in `${P}_avg` | `${P}_least` | `${P}_most`]: number | null;
} & { readonly [K in `${P}_marks`]: Marks };

type MetricsRow = PeriodRow & CellRow<'cpu'> & CellRow<'memory'> & CellRow<'used'>;
type NetworkRow = PeriodRow & CellRow<'rate'> & { readonly direction: 'rx' | 'tx' };

interface EventsRow {
  readonly dimension: 'slot' | 'level' | 'service' | 'host';
  readonly slot: number;
  readonly level: string;
  readonly service: string;
  readonly host: string;
  readonly total: number;
}

interface HostRow {
  readonly host: string;
  readonly cpu_avg: number | null;
  readonly cpu_most: number | null;
  readonly memory_avg: number | null;
  readonly memory_most: number | null;
}

export function summaryRoutes(ports: SummaryPorts): Route[] {
  return [
    {
      method: 'GET',
      path: '/metrics/summary',
      access: 'read',
      operation: GET_SUMMARY,
      isScoped: true,
      handle: (context) => summary(context, ports),
    },
  ];
}

async function summary(
  { request, query, principal }: RequestContext,
  ports: SummaryPorts,
): Promise<HttpResponse> {
  const startMs = performance.now();
  const range = readSummaryRange(query, ports.now());
  const about = { query, scope: principal.scope };
  let rowsRead = 0;
  const select = async <Row>(statement: Statement): Promise<Row[]> => {
    const selection = await selectLimited<Row>(ports.store, statement, request.signal);
    rowsRead += selection.rowsRead;
    return selection.rows;
  };
  const [metricRows, networkRows, eventRows] = await Promise.all([
    select<MetricsRow>(metricsStatement(about, range)),
    select<NetworkRow>(networkStatement(about, range)),
    select<EventsRow>(eventsStatement(about, range)),
  ]);
  const busiest = eventRows
    .filter(({ dimension, host }) => dimension === 'host' && host !== '')
    .slice(0, TOP_HOSTS);
  const topHosts = await describeHosts(busiest, (hosts) => select(hostsStatement(about, range, hosts)));
  const metrics = toMetrics(metricRows, networkRows);
  const summed = toSummary(range, { metrics, events: toCounts(eventRows), topHosts });
  const elapsedMs = performance.now() - startMs;
  return jsonResponse({ ...summed, meta: { rows_read: rowsRead, elapsed_ms: elapsedMs } });
}

function toMetrics(metricRows: readonly MetricsRow[], networkRows: readonly NetworkRow[]): Metrics {
  const metrics: Metrics = {
    cpu_usage: newMetricCells(),
    memory_usage: newMetricCells(),
    memory_used: newMetricCells(),
    network_rx: newMetricCells(),
    network_tx: newMetricCells(),
  };
  for (const row of metricRows) {
    const period = periodOf(row);
    addCell(metrics.cpu_usage, period, cellOf(row, 'cpu'));
    addCell(metrics.memory_usage, period, cellOf(row, 'memory'));
    addCell(metrics.memory_used, period, cellOf(row, 'used'));
  }
  for (const row of networkRows) {
    addCell(metrics[`network_${row.direction}`], periodOf(row), cellOf(row, 'rate'));
  }
  return metrics;
}

function periodOf(row: PeriodRow) {
  return { isCurrent: Boolean(row.is_current), isTotal: row.is_total === 1, slot: row.slot };
}

function cellOf<P extends Prefix>(row: CellRow<P>, prefix: P) {
  return {
    samples: row[`${prefix}_samples`],
    avg: row[`${prefix}_avg`],
    least: row[`${prefix}_least`],
    most: row[`${prefix}_most`],
    marks: row[`${prefix}_marks`],
  };
}

function toCounts(rows: readonly EventsRow[]): EventCounts {
  const of = (dimension: EventsRow['dimension']): EventsRow[] =>
    rows.filter((row) => row.dimension === dimension);
  const levels = new Map<string, number>();
  for (const { level, total } of of('level')) {
    // A program may write the name itself as its level.
    const name = level === '' ? NO_LEVEL : level;
    levels.set(name, (levels.get(name) ?? 0) + total);
  }
  return {
    slots: new Map(of('slot').map(({ slot, total }) => [slot, total])),
    levels,
    services: of('service')
      .slice(0, TOP_SERVICES)
      .map(({ service, total }) => ({ service, count: total })),
  };
}

/** The hosts with most events, with what they were doing. */
async function describeHosts(
  rows: readonly EventsRow[],
  read: (hosts: readonly string[]) => Promise<HostRow[]>,
): Promise<object[]> {
  if (rows.length === 0) return [];
  const details = new Map((await read(rows.map(({ host }) => host))).map((row) => [row.host, row]));
  return rows.map(({ host, total }) => {
    const row = details.get(host);
    return {
      host,
      events: total,
      cpu_usage: { avg: row?.cpu_avg ?? null, max: row?.cpu_most ?? null },
      memory_usage: { avg: row?.memory_avg ?? null, max: row?.memory_most ?? null },
    };
  });
}
