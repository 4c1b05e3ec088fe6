-- The words of published services, by which they are searched. They follow the rows of the registry, in one transaction.
CREATE TABLE catalog_word (
    -- In UTF-8, so that both databases compare it by its bytes.
    word BYTEA NOT NULL,
    service TEXT NOT NULL,
    PRIMARY KEY (word, service)
);
CREATE INDEX catalog_word_service ON catalog_word (service);
