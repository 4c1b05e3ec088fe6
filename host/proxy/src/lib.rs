//! The path of a message.
