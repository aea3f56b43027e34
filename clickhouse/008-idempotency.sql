-- Bodies posted with an Idempotency-Key (docs/decisions/008-idempotency-keys.md). `reserved`: where the rows of the body
-- are to lie, written before the first of them is stored; `withdrawn`: that they never will; `done`: what was answered.
CREATE TABLE IF NOT EXISTS idempotency
(
    -- SHA-256 of user and key, and of the body with its format, in hexadecimal: nothing of what was sent.
    key            String,
    body           String,
    state          LowCardinality(String),
    source         UInt8,
    partition      UInt16,
    -- Token of the lane that the row was written under.
    epoch          UInt64,
    from_offset    UInt64,
    to_offset      UInt64,
    -- Record time of the rows, milliseconds since the epoch.
    received_ms    UInt64,
    -- `done`: the outcome as JSON.
    outcome        String CODEC(ZSTD(1)),
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
PARTITION BY toStartOfHour(created_at)
ORDER BY (key, created_at)
TTL toDateTime(created_at) + INTERVAL 24 HOUR
SETTINGS ttl_only_drop_parts = 1, index_granularity = 512;
