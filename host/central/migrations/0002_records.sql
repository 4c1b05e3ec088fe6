-- What is kept beside the registry, each read and written by itself, in JSON: procedures, their documents, people, sessions.
CREATE TABLE record (
    -- procedure, document, person, …
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
