-- The live tail and its resumption read rows by when they were stored, which is close to the order of the table for
-- what arrives in time and far from it for what arrives late; and ask the ledger who stored anything lately.
-- For new parts only: what was stored before is read when a client comes back that has been away since then, and
-- writing an index into old compact parts can break them (ClickHouse issue 109799).
ALTER TABLE logs ADD INDEX IF NOT EXISTS stored_at_range stored_at TYPE minmax GRANULARITY 1;

ALTER TABLE ledger ADD INDEX IF NOT EXISTS committed_at_range committed_at TYPE minmax GRANULARITY 1;
