-- What cursors are signed with, so that every program on this database takes the cursors of the others. Whoever can read
-- it can make a cursor, which is a place in a list and opens nothing: scopes stand in the statements. The first start
-- writes the one row; the oldest counts.
CREATE TABLE IF NOT EXISTS cursor_secret
(
    secret   String,
    made_at  DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY made_at;
