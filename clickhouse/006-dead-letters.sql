-- Dead letters are sealed (src/encode/letter-seal.ts) and can be driven again. `content` says what the payload is;
-- it is empty where the payload was stored before, in clear text. Sealed bytes do not compress.
ALTER TABLE dead_letters
    ADD COLUMN IF NOT EXISTS to_offset UInt64 CODEC(Delta(8), ZSTD(1)) AFTER payload,
    ADD COLUMN IF NOT EXISTS record_count UInt32 CODEC(ZSTD(1)) AFTER to_offset,
    ADD COLUMN IF NOT EXISTS content LowCardinality(String) CODEC(ZSTD(1)) AFTER record_count,
    MODIFY COLUMN payload String CODEC(NONE);

-- The newest attempt to drive a letter again, one row per letter (read with FINAL). A letter that moved is one no
-- more: its records are counted here as `stored`, as `filtered` or, by their new letters, as `dead_lettered`.
-- The rows outlive the letters, which would come back without them.
CREATE TABLE IF NOT EXISTS redrives
(
    source         UInt8,
    partition      UInt16,
    offset         UInt64 CODEC(Delta(8), ZSTD(1)),
    record_time    DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    content        LowCardinality(String),
    attempted_at   DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    is_moved       Bool,
    -- As the ledger counted it.
    first_reason   LowCardinality(String),
    record_count   UInt32 CODEC(ZSTD(1)),
    -- Of a letter that stays.
    reason         LowCardinality(String) DEFAULT '',
    detail         String DEFAULT '' CODEC(ZSTD(1)),
    -- Of a letter that moved.
    stored         UInt64 DEFAULT 0 CODEC(ZSTD(1)),
    filtered       Map(LowCardinality(String), UInt64),
    dead_lettered  Map(LowCardinality(String), UInt64)
)
ENGINE = ReplacingMergeTree(attempted_at)
PARTITION BY toStartOfMonth(attempted_at)
ORDER BY (source, partition, offset, record_time, content)
TTL toDateTime(attempted_at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

-- Whose turn it is to drive letters again: its inserts are refused when the last row names another run.
CREATE TABLE IF NOT EXISTS redrive_turn
(
    one  UInt8,
    run  UInt64
)
ENGINE = Join(ANY, LEFT, one)
SETTINGS join_any_take_last_row = 1;
