/**
 * One builder per column of table `logs`, and the groups in which EventBlock addresses them by field number.
 */
import { LOG_COLUMNS } from '../event/columns.ts';
import { type PlacedColumn, placeColumn } from './block-layout.ts';
import type { ColumnBuilder } from './columns/column.ts';
import {
  ByteColumn,
  ConstantColumn,
  FloatColumn,
  IpColumn,
  NullableColumn,
  Uint64Column,
  UintColumn,
} from './columns/fixed.ts';
import { LowCardinalityColumn } from './columns/low-cardinality.ts';
import { MapColumn } from './columns/map.ts';
import { StringColumn } from './columns/string.ts';
import { ThreatsColumn } from './columns/threats.ts';

/** Builders by column name; the type check proves that none is missing. */
export function createLogColumns() {
  return {
    timestamp: new Uint64Column(),
    ingested_at: new Uint64Column(),
    source: new ConstantColumn(1),
    partition: new ConstantColumn(2),
    offset: new Uint64Column(),
    flags: new ByteColumn(),
    retention_days: new ConstantColumn(2),
    host: new LowCardinalityColumn(),
    service: new LowCardinalityColumn(),
    environment: new LowCardinalityColumn(),
    level: new LowCardinalityColumn(),
    severity_number: new ByteColumn(),
    message: new StringColumn(),
    trace_id: new StringColumn(),
    span_id: new StringColumn(),
    correlation_id: new StringColumn(),
    source_ip: new IpColumn(),
    source_port: new UintColumn(2),
    destination_ip: new IpColumn(),
    destination_port: new UintColumn(2),
    user: new LowCardinalityColumn(),
    process: new LowCardinalityColumn(),
    pid: new UintColumn(4),
    outcome: new LowCardinalityColumn(),
    http_method: new LowCardinalityColumn(),
    http_path: new StringColumn(),
    http_status: new UintColumn(2),
    geo_country: new LowCardinalityColumn(),
    geo_city: new LowCardinalityColumn(),
    cpu_usage: new NullableColumn(new FloatColumn()),
    memory_used: new NullableColumn(new Uint64Column()),
    memory_total: new NullableColumn(new Uint64Column()),
    memory_percentage: new NullableColumn(new FloatColumn()),
    network_rx_bytes: new NullableColumn(new Uint64Column()),
    network_tx_bytes: new NullableColumn(new Uint64Column()),
    threats: new ThreatsColumn(),
    template_id: new Uint64Column(),
    metadata: new MapColumn(),
  } satisfies Record<(typeof LOG_COLUMNS)[number]['name'], ColumnBuilder>;
}

export type LogColumns = ReturnType<typeof createLogColumns>;

/** The builders that setters address by number: places as in TextField, IpField, UintField and the metric fields. */
export function groupLogColumns(columns: LogColumns) {
  return {
    /** TextFields below `message`. */
    labels: [
      columns.host,
      columns.service,
      columns.environment,
      columns.user,
      columns.process,
      columns.outcome,
      columns.http_method,
      columns.geo_country,
      columns.geo_city,
    ],
    /** TextFields from `message` on. */
    strings: [columns.message, columns.trace_id, columns.span_id, columns.correlation_id, columns.http_path],
    ips: [columns.source_ip, columns.destination_ip],
    uints: [columns.source_port, columns.destination_port, columns.pid, columns.http_status],
    floats: [columns.cpu_usage, columns.memory_percentage],
    counts: [columns.memory_used, columns.memory_total, columns.network_rx_bytes, columns.network_tx_bytes],
  };
}

/** The builders in the order of LOG_COLUMNS, with their headers. */
export function placeLogColumns(columns: LogColumns): readonly PlacedColumn[] {
  return LOG_COLUMNS.map((column) => placeColumn(column, columns[column.name]));
}
