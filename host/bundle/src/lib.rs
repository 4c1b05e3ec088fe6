//! Plugin bundles: manifest, contents, author's and vetting signatures.
