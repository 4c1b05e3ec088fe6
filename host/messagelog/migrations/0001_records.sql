-- Messages, their time-stamps and their archives. One text for both databases: to SQLite, BYTEA is a name like any other,
-- and $1 a parameter.

-- Records and time-stamps are numbered from here, a block at a time.
CREATE TABLE number (
    next BIGINT NOT NULL
);
INSERT INTO number (next) VALUES (1);

-- What changes of a record, and what it is found by. Times are milliseconds since 1970, UTC.
CREATE TABLE record (
    id BIGINT PRIMARY KEY,
    recorded_at BIGINT NOT NULL,
    -- 0 request, 1 response
    direction SMALLINT NOT NULL,
    -- The local party; subsystem_code is empty for a member.
    instance TEXT NOT NULL,
    member_class TEXT NOT NULL,
    member_code TEXT NOT NULL,
    subsystem_code TEXT NOT NULL,
    query_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    -- SHA-512 of content.signatures, which is what a time-stamp of several covers.
    signature_digest BYTEA NOT NULL,
    time_stamp_id BIGINT,
    archive_id BIGINT
);
CREATE INDEX record_by_query ON record (query_id);
CREATE INDEX record_by_time ON record (recorded_at);
CREATE INDEX record_by_time_stamp ON record (time_stamp_id, id);
CREATE INDEX record_by_archive ON record (archive_id, member_class, member_code, subsystem_code, id);

-- What never changes of a record.
CREATE TABLE content (
    record_id BIGINT PRIMARY KEY,
    -- Which key message and attachments are encrypted with, if any.
    key_id TEXT,
    message BYTEA NOT NULL,
    signatures BYTEA NOT NULL,
    chain_result BYTEA,
    chain BYTEA
);

CREATE TABLE attachment (
    record_id BIGINT NOT NULL,
    number SMALLINT NOT NULL,
    -- Absent if it was left out.
    content BYTEA,
    -- SHA-512, of what was left out.
    digest BYTEA,
    PRIMARY KEY (record_id, number)
);

CREATE TABLE time_stamp (
    id BIGINT PRIMARY KEY,
    -- When, by the word of the authority.
    stamped_at BIGINT NOT NULL,
    token BYTEA NOT NULL,
    -- If the token covers several signatures: what it is over, and their digests, one after the other. The chain from
    -- there to each signature follows from them, and is made when it is asked for.
    chain_result BYTEA,
    covered BYTEA
);

-- Archives, each continuing the one before it in its group. They are planned before they are written, so that after a
-- crash the very same file is written again.
CREATE TABLE archive (
    id BIGINT PRIMARY KEY,
    group_name TEXT NOT NULL,
    position BIGINT NOT NULL,
    file_name TEXT NOT NULL,
    last_digest TEXT NOT NULL,
    written_at BIGINT,
    UNIQUE (group_name, position)
);

-- What has to be known after a restart.
CREATE TABLE remembered (
    name TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);
