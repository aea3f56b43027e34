-- Which attempt at a letter is the newest one, the server's clock decides, whatever those of the programs say.
ALTER TABLE redrives MODIFY COLUMN attempted_at DateTime64(6, 'UTC') DEFAULT now64(6) CODEC(Delta(8), ZSTD(1));

-- What the ledger must be corrected by, per source and partition: records whose letters are none any more, by the reason
-- under which the ledger counts them, and what they have become. `dead_lettered` is what became letters again.
CREATE VIEW IF NOT EXISTS moved_letters AS
SELECT source, partition,
    sum(record_count) AS moved,
    sumMap(map(toString(first_reason), toUInt64(record_count))) AS moved_reasons,
    sum(r.stored) AS stored,
    sumMap(r.filtered) AS filtered,
    sumMap(r.dead_lettered) AS dead_lettered
FROM redrives AS r FINAL
WHERE is_moved
GROUP BY source, partition;

-- Lanes of direct sources whose start has ended and whose ledger was brought to their end, with the claim this was done
-- under: a later claim makes a lane one to look at again.
CREATE TABLE IF NOT EXISTS settled_lanes
(
    source       UInt8,
    partition    UInt16,
    epoch        UInt64,
    settled_at   DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(epoch)
ORDER BY (source, partition);

-- Ids of the keys that ever sealed letters here: a start with other keys could not read them.
CREATE TABLE IF NOT EXISTS letter_keys
(
    id             String,
    first_used_at  DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY id;

INSERT INTO letter_keys (id)
SELECT DISTINCT lower(hex(substring(payload, 2, 8))) FROM dead_letters WHERE content != '';
