//! Clock, shutdown, tracing set-up and secrets of a running program.
