//! How an institution joins: from the application to readiness, by whose act, and within how many working days.
//!
//! Pure: who acts, what on and when come in as values. [`Profile`] and [`Calendar`] are data, so that a new law is a new
//! file; [`Procedure`] is the state machine, and says at any time whose turn it is and when they are late.

mod application;
mod calendar;
mod deadline;
mod procedure;
mod profile;
mod refusal;
mod scan;
mod stage;
#[cfg(test)]
mod tests;

pub use application::{Application, Document, Duty, InformationSystem, Problem, ResponsiblePerson};
pub use calendar::{Calendar, CalendarError, CalendarTables, YearTable};
pub use deadline::{Deadline, Phase, Timeliness};
pub use procedure::{Act, Agreement, Event, Gate, Instructions, Procedure, Review};
pub use profile::{ChecklistItem, Deadlines, Ground, Profile};
pub use refusal::JoiningRefusal;
pub use scan::{Attachment, ScanKind, SignedCopy};
pub use stage::{Party, Stage, Turn};
