-- Letters to people, under a name that says why each is written: nobody gets the same one twice. A letter that waits is
-- tried once `due_at` has come, in seconds since 1970; whoever tries it moves `due_at` first, so that no other does.
CREATE TABLE letter (
    name TEXT PRIMARY KEY,
    person TEXT NOT NULL,
    notice TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    hindrance TEXT
);

CREATE INDEX letter_by_state ON letter (state, due_at);
