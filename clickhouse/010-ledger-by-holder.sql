-- The ledger keeps the rows of each holder of a lane apart: after a partition was cut off, its offsets are given anew,
-- and a row of the newer holder may begin where one of the older does. A holder that does not know whether its row was
-- written writes it again, perhaps longer, under the same epoch: the longer one counts (read it with FINAL).
-- Begins by dropping what an interrupted run of these statements left, so that they can be run again.
DROP TABLE IF EXISTS ledger_next;

CREATE TABLE IF NOT EXISTS ledger_next
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
ORDER BY (source, partition, epoch, from_offset)
TTL toDateTime(committed_at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

INSERT INTO ledger_next SELECT source, partition, epoch, from_offset, to_offset, received, stored, already_present,
    lost_upstream, filtered, dead_lettered, rules_version, committed_at
FROM ledger
SETTINGS max_partitions_per_insert_block = 0;

EXCHANGE TABLES ledger AND ledger_next;

DROP TABLE ledger_next;

-- Sums over the rows of a lane up to and with the row (epoch, from_offset), in the order of these two. Never over the
-- last row of a lane, which may still be written again. Greater versions sum up more (src/store/ledger-sums.ts).
CREATE TABLE IF NOT EXISTS ledger_sums
(
    source           UInt8,
    partition        UInt16,
    version          UInt64,
    epoch            UInt64,
    from_offset      UInt64,
    -- Of the row (epoch, from_offset).
    to_offset        UInt64,
    -- Least and greatest offset of all rows.
    first_offset     UInt64,
    top_offset       UInt64,
    received         UInt64,
    stored           UInt64,
    already_present  UInt64,
    lost_upstream    UInt64,
    filtered         Map(LowCardinality(String), UInt64),
    dead_lettered    Map(LowCardinality(String), UInt64),
    -- Rows that do not add up.
    unbalanced       UInt64,
    -- Where a row begins past the end of the one before it; the first of them are listed.
    hole_count       UInt64,
    holes            Array(Tuple(UInt64, UInt64))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (source, partition);
