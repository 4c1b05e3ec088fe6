use std::fmt::Write as _;

use serde::Serialize;

/// Figures with their goals.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    bench: &'static str,
    figures: Vec<Figure>,
}

#[derive(Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<Goal>,
    reached: bool,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    pub(crate) fn new(bench: &'static str) -> Self {
        Self { bench, figures: Vec::new() }
    }

    /// A figure for information.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { name: name.into(), value, unit, goal: None, reached: true });
    }

    /// A figure that must reach `goal`.
    pub(crate) fn goal(&mut self, name: impl Into<String>, value: f64, unit: &'static str, goal: Goal) {
        let reached = match goal {
            Goal::AtLeast(least) => value >= least,
            Goal::AtMost(most) => value <= most,
        };
        self.figures.push(Figure { name: name.into(), value, unit, goal: Some(goal), reached });
    }

    pub(crate) fn reached(&self) -> bool {
        self.figures.iter().all(|figure| figure.reached)
    }

    pub(crate) fn json(&self) -> String {
        serde_json::json!({ "schema": "uuk.bench/v1", "bench": self.bench, "figures": self.figures })
            .to_string()
    }

    pub(crate) fn table(&self) -> String {
        let mut table = format!("bench {}\n", self.bench);
        for figure in &self.figures {
            let goal = match figure.goal {
                None => String::new(),
                Some(Goal::AtLeast(least)) => format!("goal ≥ {least}"),
                Some(Goal::AtMost(most)) => format!("goal ≤ {most}"),
            };
            let mark = match (figure.goal, figure.reached) {
                (None, _) => "",
                (Some(_), true) => "ok",
                (Some(_), false) => "MISSED",
            };
            let _ = writeln!(
                table,
                "  {:<58} {:>12.3} {:<8} {goal:<14} {mark}",
                figure.name, figure.value, figure.unit
            );
        }
        table
    }
}
