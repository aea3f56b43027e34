-- Rollups that back /metrics/summary. Every value is independent of the order of its rows (float sums up to
-- rounding), and the sorting keys end in source and partition, so the rows of one lane can be computed again.
-- Hours are fed from the minutes. The last arrival decides when a row may go, never the time of its events.
CREATE TABLE IF NOT EXISTS events_1m
(
    bucket         DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment    LowCardinality(String),
    service        LowCardinality(String),
    host           LowCardinality(String),
    level          LowCardinality(String),
    source         UInt8,
    partition      UInt16,
    event_count    SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    last_arrival   SimpleAggregateFunction(max, DateTime('UTC')) CODEC(Delta(4), ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(bucket)
ORDER BY (bucket, environment, service, host, level, source, partition)
TTL last_arrival + INTERVAL 40 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS events_1h
(
    bucket         DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment    LowCardinality(String),
    service        LowCardinality(String),
    host           LowCardinality(String),
    level          LowCardinality(String),
    source         UInt8,
    partition      UInt16,
    event_count    SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    last_arrival   SimpleAggregateFunction(max, DateTime('UTC')) CODEC(Delta(4), ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toStartOfMonth(bucket)
ORDER BY (bucket, environment, service, host, level, source, partition)
TTL last_arrival + INTERVAL 800 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS events_1h_view TO events_1h AS
SELECT toStartOfHour(bucket) AS bucket, environment, service, host, level, source, partition,
    sum(event_count) AS event_count,
    max(last_arrival) AS last_arrival
FROM events_1m
GROUP BY bucket, environment, service, host, level, source, partition;

CREATE MATERIALIZED VIEW IF NOT EXISTS events_1m_view TO events_1m AS
SELECT toStartOfMinute(timestamp) AS bucket, environment, service, host, level, source, partition,
    count() AS event_count,
    max(stored_at) AS last_arrival
FROM logs
GROUP BY bucket, environment, service, host, level, source, partition;

-- Network counters are kept as the first and last sample of the bucket; rates, and resets, are a matter of the query.
CREATE TABLE IF NOT EXISTS host_metrics_1m
(
    bucket             DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment        LowCardinality(String),
    service            LowCardinality(String),
    host               LowCardinality(String),
    source             UInt8,
    partition          UInt16,
    cpu_count          SimpleAggregateFunction(sum, UInt64),
    cpu_sum            SimpleAggregateFunction(sum, Float64),
    cpu_min            SimpleAggregateFunction(min, Nullable(Float64)),
    cpu_max            SimpleAggregateFunction(max, Nullable(Float64)),
    cpu_quantiles      AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)),
    memory_count       SimpleAggregateFunction(sum, UInt64),
    memory_sum         SimpleAggregateFunction(sum, Float64),
    memory_min         SimpleAggregateFunction(min, Nullable(Float64)),
    memory_max         SimpleAggregateFunction(max, Nullable(Float64)),
    memory_quantiles   AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)),
    used_count         SimpleAggregateFunction(sum, UInt64),
    used_sum           SimpleAggregateFunction(sum, Float64),
    used_min           SimpleAggregateFunction(min, Nullable(UInt64)),
    used_max           SimpleAggregateFunction(max, Nullable(UInt64)),
    used_quantiles     AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(UInt64)),
    rx_count           SimpleAggregateFunction(sum, UInt64),
    rx_first           SimpleAggregateFunction(min, Tuple(DateTime64(6, 'UTC'), UInt64, UInt64)),
    rx_last            SimpleAggregateFunction(max, Tuple(DateTime64(6, 'UTC'), UInt64, UInt64)),
    tx_count           SimpleAggregateFunction(sum, UInt64),
    tx_first           SimpleAggregateFunction(min, Tuple(DateTime64(6, 'UTC'), UInt64, UInt64)),
    tx_last            SimpleAggregateFunction(max, Tuple(DateTime64(6, 'UTC'), UInt64, UInt64)),
    last_arrival       SimpleAggregateFunction(max, DateTime('UTC'))
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(bucket)
ORDER BY (bucket, environment, service, host, source, partition)
TTL last_arrival + INTERVAL 40 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS host_metrics_1h
(
    bucket             DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    environment        LowCardinality(String),
    service            LowCardinality(String),
    host               LowCardinality(String),
    source             UInt8,
    partition          UInt16,
    cpu_count          SimpleAggregateFunction(sum, UInt64),
    cpu_sum            SimpleAggregateFunction(sum, Float64),
    cpu_min            SimpleAggregateFunction(min, Nullable(Float64)),
    cpu_max            SimpleAggregateFunction(max, Nullable(Float64)),
    cpu_quantiles      AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)),
    memory_count       SimpleAggregateFunction(sum, UInt64),
    memory_sum         SimpleAggregateFunction(sum, Float64),
    memory_min         SimpleAggregateFunction(min, Nullable(Float64)),
    memory_max         SimpleAggregateFunction(max, Nullable(Float64)),
    memory_quantiles   AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(Float64)),
    used_count         SimpleAggregateFunction(sum, UInt64),
    used_sum           SimpleAggregateFunction(sum, Float64),
    used_min           SimpleAggregateFunction(min, Nullable(UInt64)),
    used_max           SimpleAggregateFunction(max, Nullable(UInt64)),
    used_quantiles     AggregateFunction(quantilesDD(0.01, 0.5, 0.95, 0.99), Nullable(UInt64)),
    rx_count           SimpleAggregateFunction(sum, UInt64),
    rx_first           SimpleAggregateFunction(min, Tuple(DateTime64(6, 'UTC'), UInt64, UInt64)),
    rx_last            SimpleAggregateFunction(max, Tuple(DateTime64(6, 'UTC'), UInt64, UInt64)),
    tx_count           SimpleAggregateFunction(sum, UInt64),
    tx_first           SimpleAggregateFunction(min, Tuple(DateTime64(6, 'UTC'), UInt64, UInt64)),
    tx_last            SimpleAggregateFunction(max, Tuple(DateTime64(6, 'UTC'), UInt64, UInt64)),
    last_arrival       SimpleAggregateFunction(max, DateTime('UTC'))
)
ENGINE = AggregatingMergeTree
PARTITION BY toStartOfMonth(bucket)
ORDER BY (bucket, environment, service, host, source, partition)
TTL last_arrival + INTERVAL 800 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS host_metrics_1h_view TO host_metrics_1h AS
SELECT toStartOfHour(bucket) AS bucket, environment, service, host, source, partition,
    sum(cpu_count) AS cpu_count,
    sum(cpu_sum) AS cpu_sum,
    min(cpu_min) AS cpu_min,
    max(cpu_max) AS cpu_max,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(cpu_quantiles) AS cpu_quantiles,
    sum(memory_count) AS memory_count,
    sum(memory_sum) AS memory_sum,
    min(memory_min) AS memory_min,
    max(memory_max) AS memory_max,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(memory_quantiles) AS memory_quantiles,
    sum(used_count) AS used_count,
    sum(used_sum) AS used_sum,
    min(used_min) AS used_min,
    max(used_max) AS used_max,
    quantilesDDMergeState(0.01, 0.5, 0.95, 0.99)(used_quantiles) AS used_quantiles,
    sum(rx_count) AS rx_count,
    min(rx_first) AS rx_first,
    max(rx_last) AS rx_last,
    sum(tx_count) AS tx_count,
    min(tx_first) AS tx_first,
    max(tx_last) AS tx_last,
    max(last_arrival) AS last_arrival
FROM host_metrics_1m
GROUP BY bucket, environment, service, host, source, partition;

-- Where a bucket has no counter, its first sample is later and its last earlier than any real one.
CREATE MATERIALIZED VIEW IF NOT EXISTS host_metrics_1m_view TO host_metrics_1m AS
SELECT toStartOfMinute(timestamp) AS bucket, environment, service, host, source, partition,
    count(cpu_usage) AS cpu_count,
    sum(toFloat64(ifNull(cpu_usage, 0))) AS cpu_sum,
    min(cpu_usage) AS cpu_min,
    max(cpu_usage) AS cpu_max,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(cpu_usage) AS cpu_quantiles,
    count(memory_percentage) AS memory_count,
    sum(toFloat64(ifNull(memory_percentage, 0))) AS memory_sum,
    min(memory_percentage) AS memory_min,
    max(memory_percentage) AS memory_max,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(memory_percentage) AS memory_quantiles,
    count(memory_used) AS used_count,
    sum(toFloat64(ifNull(memory_used, 0))) AS used_sum,
    min(memory_used) AS used_min,
    max(memory_used) AS used_max,
    quantilesDDState(0.01, 0.5, 0.95, 0.99)(memory_used) AS used_quantiles,
    count(network_rx_bytes) AS rx_count,
    min(if(isNull(network_rx_bytes), (toDateTime64('2200-01-01', 6, 'UTC'), 0, 0), (timestamp, offset, assumeNotNull(network_rx_bytes)))) AS rx_first,
    max(if(isNull(network_rx_bytes), (toDateTime64('1970-01-01', 6, 'UTC'), 0, 0), (timestamp, offset, assumeNotNull(network_rx_bytes)))) AS rx_last,
    count(network_tx_bytes) AS tx_count,
    min(if(isNull(network_tx_bytes), (toDateTime64('2200-01-01', 6, 'UTC'), 0, 0), (timestamp, offset, assumeNotNull(network_tx_bytes)))) AS tx_first,
    max(if(isNull(network_tx_bytes), (toDateTime64('1970-01-01', 6, 'UTC'), 0, 0), (timestamp, offset, assumeNotNull(network_tx_bytes)))) AS tx_last,
    max(stored_at) AS last_arrival
FROM logs
WHERE cpu_usage IS NOT NULL OR memory_percentage IS NOT NULL OR memory_used IS NOT NULL
    OR network_rx_bytes IS NOT NULL OR network_tx_bytes IS NOT NULL
GROUP BY bucket, environment, service, host, source, partition;
