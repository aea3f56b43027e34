-- A removed user leaves its rows behind; the last one says so, and the name may be given again.
ALTER TABLE users ADD COLUMN IF NOT EXISTS is_removed Bool DEFAULT false AFTER is_disabled;

-- When a key was used last. Each instance writes at most one row per key and minute.
CREATE TABLE IF NOT EXISTS api_key_uses
(
    id       String,
    used_at  SimpleAggregateFunction(max, DateTime('UTC'))
)
ENGINE = AggregatingMergeTree
ORDER BY id;

-- `id` tells rows that were written twice, after an insert whose answer was lost, from rows that say the same.
ALTER TABLE audit
    ADD COLUMN IF NOT EXISTS id String DEFAULT '',
    ADD COLUMN IF NOT EXISTS request_id String DEFAULT '';

ALTER TABLE audit MODIFY SETTING ttl_only_drop_parts = 1;

ALTER TABLE audit MODIFY TTL toDateTime(at) + INTERVAL 400 DAY;
