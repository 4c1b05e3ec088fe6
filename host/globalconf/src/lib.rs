//! What the governing authority distributes: the catalog, vetting certificates and revocations.
