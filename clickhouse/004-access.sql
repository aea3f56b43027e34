-- Who may do what, and who did. Users and keys are append-only: the highest version of a name or id counts.
CREATE TABLE IF NOT EXISTS users
(
    name            String,
    version         UInt64,
    password_hash   String,
    -- JSON: [{"role", "services", "hosts", "environments"}], an empty list of a scope meaning all.
    grants          String DEFAULT '[]',
    is_disabled     Bool DEFAULT false,
    changed_by      String DEFAULT '',
    changed_at      DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (name, version);

CREATE TABLE IF NOT EXISTS api_keys
(
    id              String,
    version         UInt64,
    name            String,
    -- SHA-256 of the key in hexadecimal; the key itself is shown once and never kept.
    key_hash        String,
    grants          String DEFAULT '[]',
    is_revoked      Bool DEFAULT false,
    expires_at      Nullable(DateTime64(3, 'UTC')),
    changed_by      String DEFAULT '',
    changed_at      DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (id, version);

CREATE TABLE IF NOT EXISTS audit
(
    at              DateTime64(6, 'UTC') DEFAULT now64(6),
    actor           String,
    action          LowCardinality(String),
    target          String,
    outcome         LowCardinality(String),
    address         String DEFAULT '',
    detail          String DEFAULT '{}'
)
ENGINE = MergeTree
PARTITION BY toStartOfMonth(at)
ORDER BY (at, actor);
