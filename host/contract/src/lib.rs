//! Service contracts: operations read from OpenAPI, calls turned into documents and checked.
