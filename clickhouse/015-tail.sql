-- The live tail and its resumption read rows by when they were stored, which is close to the order of the table for
-- what arrives in time and far from it for what arrives late; and ask the ledger who stored anything lately.
ALTER TABLE logs ADD INDEX IF NOT EXISTS stored_at_range stored_at TYPE minmax GRANULARITY 1;

ALTER TABLE logs MATERIALIZE INDEX stored_at_range;

ALTER TABLE ledger ADD INDEX IF NOT EXISTS committed_at_range committed_at TYPE minmax GRANULARITY 1;

ALTER TABLE ledger MATERIALIZE INDEX committed_at_range;
