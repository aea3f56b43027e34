-- Who may write a lane (docs/decisions/005-lane-ownership.md). A token is a row of lane_claims and is good until it is
-- revoked; revocations are only ever added. The Join table is the part of this that an insert can ask while it runs:
-- it is held in memory, written to disk with each insert, and local to its server.
ALTER TABLE lane_claims ADD COLUMN IF NOT EXISTS held_epoch UInt64 DEFAULT 0;

CREATE TABLE IF NOT EXISTS lane_revocations
(
    source       UInt8,
    partition    UInt16,
    epoch        UInt64,
    is_revoked   UInt8
)
ENGINE = Join(ANY, LEFT, source, partition, epoch);
