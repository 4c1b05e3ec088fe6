-- Bundles that were handed in or vetted, each under the digest of its bytes.
CREATE TABLE file (
    digest TEXT PRIMARY KEY,
    content BYTEA NOT NULL
);
