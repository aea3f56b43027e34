-- Every event, once. Columns as in src/event/columns.ts (a test compares them).
-- timestamp stays out of the primary key: with it, a time range would prune nothing inside a bucket.
-- Retention counts from arrival, so old events that arrive late live as long as others; whole parts are dropped.
CREATE TABLE IF NOT EXISTS logs
(
    timestamp          DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    ingested_at        DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    source             UInt8 CODEC(ZSTD(1)),
    partition          UInt16 CODEC(ZSTD(1)),
    offset             UInt64 CODEC(Delta(8), ZSTD(1)),
    flags              UInt8 CODEC(ZSTD(1)),
    retention_days     UInt16 CODEC(ZSTD(1)),
    host               LowCardinality(String) CODEC(ZSTD(1)),
    service            LowCardinality(String) CODEC(ZSTD(1)),
    environment        LowCardinality(String) CODEC(ZSTD(1)),
    level              LowCardinality(String) CODEC(ZSTD(1)),
    severity_number    UInt8 CODEC(ZSTD(1)),
    message            String CODEC(ZSTD(1)),
    trace_id           String CODEC(ZSTD(1)),
    span_id            String CODEC(ZSTD(1)),
    correlation_id     String CODEC(ZSTD(1)),
    source_ip          IPv6 CODEC(ZSTD(1)),
    source_port        UInt16 CODEC(ZSTD(1)),
    destination_ip     IPv6 CODEC(ZSTD(1)),
    destination_port   UInt16 CODEC(ZSTD(1)),
    user               LowCardinality(String) CODEC(ZSTD(1)),
    process            LowCardinality(String) CODEC(ZSTD(1)),
    pid                UInt32 CODEC(ZSTD(1)),
    outcome            LowCardinality(String) CODEC(ZSTD(1)),
    http_method        LowCardinality(String) CODEC(ZSTD(1)),
    http_path          String CODEC(ZSTD(1)),
    http_status        UInt16 CODEC(ZSTD(1)),
    geo_country        LowCardinality(String) CODEC(ZSTD(1)),
    geo_city           LowCardinality(String) CODEC(ZSTD(1)),
    cpu_usage          Nullable(Float64) CODEC(ZSTD(1)),
    memory_used        Nullable(UInt64) CODEC(ZSTD(1)),
    memory_total       Nullable(UInt64) CODEC(ZSTD(1)),
    memory_percentage  Nullable(Float64) CODEC(ZSTD(1)),
    network_rx_bytes   Nullable(UInt64) CODEC(ZSTD(1)),
    network_tx_bytes   Nullable(UInt64) CODEC(ZSTD(1)),
    threats            Array(Tuple(
                           name     LowCardinality(String),
                           severity LowCardinality(String),
                           tags     Array(LowCardinality(String)))) CODEC(ZSTD(1)),
    template_id        UInt64 CODEC(ZSTD(1)),
    metadata           Map(LowCardinality(String), String) CODEC(ZSTD(1)),

    -- Set here and not by the worker, whose rows are a function of the records alone: what retention counts from.
    -- A record's own time may be years back when a topic is read again.
    stored_at          DateTime('UTC') DEFAULT now() CODEC(Delta(4), ZSTD(1)),

    -- An address, not stored (src/event/event-id.ts): UUIDv7 layout of milliseconds (48 bits), microseconds (12),
    -- source (8), partition (14), offset (40).
    -- (ClickHouse keeps the two halves of a UUID the other way round than its text.)
    id UUID ALIAS reinterpretAsUUID(bitOr(
        toUInt128(bitOr(
            bitShiftLeft(reinterpretAsUInt64(intDiv(
                toUnixTimestamp64Micro(timestamp) - positiveModulo(toUnixTimestamp64Micro(timestamp), 1000), 1000)), 16),
            bitOr(toUInt64(0x7000), toUInt64(positiveModulo(toUnixTimestamp64Micro(timestamp), 1000))))),
        bitShiftLeft(toUInt128(bitOr(
            bitOr(toUInt64(0x8000000000000000), bitShiftLeft(toUInt64(source), 54)),
            bitOr(bitShiftLeft(toUInt64(partition), 40), bitAnd(offset, 0xFFFFFFFFFF)))), 64))),

    -- Inside a bucket rows are sorted by service: this prunes "the newest of all services" and short ranges.
    INDEX timestamp_range timestamp TYPE minmax GRANULARITY 1,
    INDEX offset_range offset TYPE minmax GRANULARITY 1,
    INDEX trace_id_filter trace_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX correlation_id_filter correlation_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX source_ip_filter source_ip TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX host_filter host TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = MergeTree
PARTITION BY (toDate(timestamp), retention_days)
PRIMARY KEY (toStartOfFiveMinutes(timestamp), service)
ORDER BY (toStartOfFiveMinutes(timestamp), service, timestamp, source, partition, offset)
TTL stored_at + toIntervalDay(retention_days)
-- Inserts of up to 32 MiB become compact parts of a dozen files; as wide parts they would be more than a hundred,
-- and creating files was more than half of the cost of an insert. Merges make wide parts.
SETTINGS ttl_only_drop_parts = 1, min_bytes_for_wide_part = 67108864;
