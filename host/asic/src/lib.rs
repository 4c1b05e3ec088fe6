//! Signed containers (ASiC-E with XAdES): making, reading, verifying.
