//! Answers the operations of a contract by a mapping, without code.
//!
//! The component is the same for every mapping. The mapping is the bundle's part `map.toml`, whose tables the host
//! gives it as configuration: `map.NAME` for each of them, and beside them the manifest's `sql.NAME` and
//! `upstream.NAME`, which say what the statements and upstreams it names take and give.
//!
//! An operation runs one statement or sends one request, and writes its answer from what came. There are no loops but
//! over lists that are there, no recursion and no expressions: the work is bounded by the mapping's size times that of
//! the documents, and every call ends.
//!
//! Start with [`Operation`], which is what a table of `map.toml` says. [`check()`] is what the host's probe asks; `answer`
//! is a call.

#![warn(missing_docs)]

mod adapter;
mod answer;
mod calendar;
mod check;
mod decimal;
mod declared;
mod expression;
mod found;
mod node;
mod operation;
mod pointer;
mod soap;
mod table;

pub use answer::{Row, Scope, Unfit, write_answer};
pub use check::check;
pub use declared::{Declared, StatementDeclaration, UpstreamDeclaration};
pub use expression::{CodeTables, Expression, Fields};
pub use found::Found;
pub use node::{Members, Node};
pub use operation::{FaultLine, Faults, Operation, Page, Source};
pub use pointer::Pointer;
pub use table::{Reason, Refusal};
