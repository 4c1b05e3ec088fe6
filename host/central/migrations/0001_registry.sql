-- The registry and the audit log. One text for both databases: to SQLite, BYTEA is a name like any other.

-- What is registered now, in JSON.
CREATE TABLE registered (
    -- member, server, …
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);

-- Every change that was ever made. Who makes one takes the next number; of two who want the same, one comes second.
CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    -- JSON, to the byte.
    content TEXT NOT NULL,
    -- SHA-256 over the digest before it and the content.
    digest BYTEA NOT NULL
);
