//! What two people wrote at the same time, for the one who came second.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;
use uuk_central::{CalendarChangeError, CentralError, PublishingError, Refusal};

use super::Visit;
use crate::problem::Problem;

/// Whether somebody else was faster with a change.
pub(super) fn is_so(problem: &Problem) -> bool {
    let (Problem::Central(error)
    | Problem::Publishing(PublishingError::Central(error))
    | Problem::Calendar(CalendarChangeError::Central(error))) = problem
    else {
        return false;
    };
    matches!(error, CentralError::Refused(Refusal::ChangedMeanwhile { .. }))
}

/// What somebody wrote and what stands there now, wherever they differ.
pub(super) fn both(visit: &Visit, written: &Value, now: &Value) -> Markup {
    let mut places = Vec::new();
    differ(String::new(), written, now, &mut places);
    html! {
        div.wide tabindex="0" { table {
            caption { (visit.text("editor/overtaken")) }
            thead { tr {
                @for column in ["place", "yours", "now"] { th scope="col" { (visit.text(&format!("editor/{column}"))) } }
            } }
            tbody { @for (place, yours, now) in places { tr {
                td { code { (place) } }
                td { pre.detail { (yours) } }
                td { pre.detail { (now) } }
            } } }
        } }
    }
}

/// Adds where two values differ, with what is there in each. They are as deep as a description is, which was read.
fn differ(place: String, one: &Value, other: &Value, places: &mut Vec<(String, String, String)>) {
    let objects = || [one, other].into_iter().filter_map(Value::as_object);
    if objects().next().is_none() {
        if one != other {
            places.push((place, told(one), told(other)));
        }
        return;
    }
    let names: BTreeSet<_> = objects().flat_map(|fields| fields.keys()).collect();
    for name in names {
        let [one, other] = [one, other].map(|value| value.get(name).unwrap_or(&Value::Null));
        differ(format!("{place}/{name}"), one, other, places);
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
