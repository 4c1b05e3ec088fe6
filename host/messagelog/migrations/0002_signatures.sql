-- Signature documents apart from what they are of: messages that were signed together share one, and it is most of what a
-- record takes.
CREATE TABLE signature (
    -- The number of the first record that has it.
    id BIGINT PRIMARY KEY,
    document BYTEA NOT NULL
);
INSERT INTO signature (id, document) SELECT record_id, signatures FROM content;

ALTER TABLE content RENAME TO former_content;
CREATE TABLE content (
    record_id BIGINT PRIMARY KEY,
    -- Which key message and attachments are encrypted with, if any.
    key_id TEXT,
    message BYTEA NOT NULL,
    signature_id BIGINT NOT NULL,
    chain_result BYTEA,
    chain BYTEA
);
INSERT INTO content (record_id, key_id, message, signature_id, chain_result, chain)
    SELECT record_id, key_id, message, record_id, chain_result, chain FROM former_content;
DROP TABLE former_content;
CREATE INDEX content_by_shared_signature ON content (signature_id) WHERE signature_id <> record_id;

-- Whoever records waits for each tree that is changed. Of records, SQLite keeps one less if they are made anew; those for
-- archives change when a record is stamped, and when it is archived.
ALTER TABLE record RENAME TO former_record;
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
    -- SHA-512 of the signature's document, which is what a time-stamp of several covers.
    signature_digest BYTEA NOT NULL,
    time_stamp_id BIGINT,
    archive_id BIGINT
);
INSERT INTO record SELECT * FROM former_record;
DROP TABLE former_record;
CREATE INDEX record_by_query ON record (query_id);
CREATE INDEX record_by_time ON record (recorded_at);
CREATE INDEX record_by_time_stamp ON record (time_stamp_id, id);
CREATE INDEX record_to_archive ON record (member_class, member_code, subsystem_code, id)
    WHERE archive_id IS NULL AND time_stamp_id IS NOT NULL;
CREATE INDEX record_by_archive ON record (archive_id, member_class, member_code, subsystem_code, id)
    WHERE archive_id IS NOT NULL;
