use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;

/// A part of the procedure for which the law sets the operator a number of working days.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Phase {
    /// From submission to decision.
    Review,
    /// From agreement to technical instructions.
    Instructions,
    /// From instructions to connection.
    Connection,
}

/// When the operator must have done its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deadline {
    /// Of which phase.
    pub phase: Phase,
    /// The working days that it takes so far.
    pub days_spent: u32,
    /// The working days that it may take.
    pub days_max: u32,
    /// The last day; none while the applicant must act.
    pub due: Option<Date>,
    /// Days off until then may still be announced.
    pub provisional: bool,
    /// Whether it is time to do something.
    pub timeliness: Timeliness,
}

/// Whether it is time to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Timeliness {
    /// The applicant must act, and no day counts.
    Paused,
    /// There is time.
    InTime,
    /// The last days have come.
    DueSoon,
    /// The last day is over.
    Overdue,
}

/// Counts the working days of a phase. The day on which it starts, or goes on, does not count; that on which it pauses
/// does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PhaseClock {
    pub(super) phase: Phase,
    spent: u32,
    running_since: Option<Date>,
}

impl PhaseClock {
    pub(super) fn new(phase: Phase) -> Self {
        Self { phase, spent: 0, running_since: None }
    }

    /// Runs from `today` on, or pauses.
    pub(super) fn set_running(&mut self, running: bool, today: Date, calendar: &Calendar) {
        match (self.running_since, running) {
            (None, true) => self.running_since = Some(today),
            (Some(_), false) => {
                self.spent = self.days_spent(today, calendar);
                self.running_since = None;
            }
            _ => {}
        }
    }

    pub(super) fn days_spent(&self, today: Date, calendar: &Calendar) -> u32 {
        self.spent + self.running_since.map_or(0, |since| calendar.working_days(since, today))
    }

    pub(super) fn deadline(
        &self,
        days_max: u32,
        remind_days: u32,
        today: Date,
        calendar: &Calendar,
    ) -> Deadline {
        let days_left = days_max.saturating_sub(self.spent);
        let due = self.running_since.map(|since| calendar.working_day_after(since, days_left));
        let timeliness = match due {
            None => Timeliness::Paused,
            Some(due) if today > due => Timeliness::Overdue,
            Some(due) if calendar.working_days(today, due) <= remind_days => Timeliness::DueSoon,
            Some(_) => Timeliness::InTime,
        };
        Deadline {
            phase: self.phase,
            days_spent: self.days_spent(today, calendar),
            days_max,
            due,
            provisional: due.is_some_and(|due| !calendar.knows(today.min(due), due)),
            timeliness,
        }
    }
}
