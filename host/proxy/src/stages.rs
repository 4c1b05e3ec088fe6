//! The stages of a message's path, in the order they are passed. Each takes what the one before has proven.

pub(crate) mod receive;

pub(crate) mod catalog;

pub(crate) mod authorize;

pub(crate) mod contract;

pub(crate) mod adapt;

pub(crate) mod answer;
