//! Certificates, their chains, and keys behind a trait.
