-- What several programs on one database must know of each other's tokens. Every table is append-only.

-- Public keys that tokens are signed with. Whoever may write here may sign tokens, as whoever may write `users` may
-- make an admin. The highest version of an id counts; a key is good until `expires_at`, which its owner keeps
-- moving on for as long as it signs. To end a key at once, insert a higher version that has expired.
CREATE TABLE IF NOT EXISTS auth_keys
(
    -- JWK thumbprint (RFC 7638); a row whose id is not that of its key is not looked at.
    id             String,
    version        UInt64,
    -- The Ed25519 key, base64url as in a JWK.
    x              String,
    expires_at     DateTime64(3, 'UTC'),
    published_at   DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (id, version)
-- By the time of writing, so that no version goes before those it has ended.
TTL toDateTime(published_at) + INTERVAL 60 DAY;

-- Refresh tokens that were exchanged and tickets that were redeemed. Rows outlive their tokens (seven days).
CREATE TABLE IF NOT EXISTS token_uses
(
    session_id     String,
    token_id       String,
    address        String,
    used_at        DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
PARTITION BY toDate(used_at)
ORDER BY (session_id, token_id)
TTL toDateTime(used_at) + INTERVAL 9 DAY
SETTINGS ttl_only_drop_parts = 1;

-- Sessions that ended before their tokens: by logout, or because a refresh token was used twice.
CREATE TABLE IF NOT EXISTS ended_sessions
(
    session_id     String,
    username       String,
    reason         LowCardinality(String),
    ended_at       DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
PARTITION BY toDate(ended_at)
ORDER BY session_id
TTL toDateTime(ended_at) + INTERVAL 9 DAY
SETTINGS ttl_only_drop_parts = 1;

-- Where users have logged in from: failures elsewhere do not slow them down there.
CREATE TABLE IF NOT EXISTS login_addresses
(
    username       String,
    -- IPv4 address, or the /64 network of an IPv6 address.
    address        String,
    seen_at        DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(seen_at)
ORDER BY (username, address)
TTL toDateTime(seen_at) + INTERVAL 90 DAY;
