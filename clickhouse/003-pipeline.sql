-- What the pipeline remembers about its own work: who owns a lane, what became of each stretch of offsets,
-- which number stands for which source, and the records that could not become events.
CREATE TABLE IF NOT EXISTS sources
(
    number       UInt8,
    kind         LowCardinality(String),
    cluster      String,
    topic        String,
    -- Kafka: a topic made again under its old name. Direct sources: the start that wrote, see src/store/sources.ts.
    generation   UInt32,
    created_at   DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (number, generation);

CREATE TABLE IF NOT EXISTS lane_claims
(
    source       UInt8,
    partition    UInt16,
    epoch        UInt64,
    owner        String,
    claimed_at   DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (source, partition, epoch);

-- A stretch whose row may or may not have been written is written again with what came since: the longer one counts
-- (read it with FINAL).
CREATE TABLE IF NOT EXISTS ledger
(
    source           UInt8,
    partition        UInt16,
    epoch            UInt64,
    from_offset      UInt64 CODEC(Delta(8), ZSTD(1)),
    to_offset        UInt64 CODEC(Delta(8), ZSTD(1)),
    received         UInt64 CODEC(ZSTD(1)),
    stored           UInt64 CODEC(ZSTD(1)),
    already_present  UInt64 CODEC(ZSTD(1)),
    lost_upstream    UInt64 DEFAULT 0 CODEC(ZSTD(1)),
    filtered         Map(LowCardinality(String), UInt64),
    dead_lettered    Map(LowCardinality(String), UInt64),
    rules_version    LowCardinality(String) DEFAULT '',
    committed_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(to_offset)
PARTITION BY toStartOfMonth(committed_at)
ORDER BY (source, partition, from_offset)
TTL toDateTime(committed_at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS dead_letters
(
    source        UInt8,
    partition     UInt16,
    offset        UInt64 CODEC(Delta(8), ZSTD(1)),
    record_time   DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    reason        LowCardinality(String),
    detail        String CODEC(ZSTD(1)),
    payload       String CODEC(ZSTD(1)),
    stored_at     DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toStartOfMonth(stored_at)
ORDER BY (source, partition, offset, record_time)
TTL toDateTime(stored_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1;
