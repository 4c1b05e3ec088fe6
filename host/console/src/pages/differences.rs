//! Two values beside each other, wherever they differ.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;
use uuk_central::{CalendarChangeError, CentralError, PublishingError, Refusal};

use super::Visit;
use crate::problem::Problem;

/// Whether somebody else was faster with a change.
pub(super) fn is_overtaken(problem: &Problem) -> bool {
    let (Problem::Central(error)
    | Problem::Publishing(PublishingError::Central(error))
    | Problem::Calendar(CalendarChangeError::Central(error))) = problem
    else {
        return false;
    };
    matches!(error, CentralError::Refused(Refusal::ChangedMeanwhile { .. }))
}

/// What somebody wrote and what somebody else wrote meanwhile, for the one who came second.
pub(super) fn overtaken(visit: &Visit, written: &Value, now: &Value) -> Markup {
    let caption = visit.text("editor/overtaken");
    table(visit, Some(&caption), ["editor/yours", "editor/now"], [written, now])
}

/// What something was and what became of it.
pub(super) fn change(visit: &Visit, before: &Value, after: &Value) -> Markup {
    table(visit, None, ["editor/before", "editor/after"], [before, after])
}

fn table(visit: &Visit, caption: Option<&str>, names: [&str; 2], values: [&Value; 2]) -> Markup {
    let mut places = Vec::new();
    differ(String::new(), values, &mut places);
    html! {
        div.wide tabindex="0" { table {
            @if let Some(caption) = caption { caption { (caption) } }
            thead { tr {
                @for column in ["editor/place"].into_iter().chain(names) { th scope="col" { (visit.text(column)) } }
            } }
            tbody { @for (place, values) in places { tr {
                td { code { (place) } }
                @for value in values { td { pre.detail { (value) } } }
            } } }
        } }
    }
}

/// Adds where two values differ, with what is there in each. They are as deep as what people write is, which was read.
fn differ(place: String, [one, other]: [&Value; 2], places: &mut Vec<(String, [String; 2])>) {
    let objects = || [one, other].into_iter().filter_map(Value::as_object);
    if objects().next().is_none() {
        if one != other {
            places.push((place, [told(one), told(other)]));
        }
        return;
    }
    let names: BTreeSet<_> = objects().flat_map(|fields| fields.keys()).collect();
    for name in names {
        let parts = [one, other].map(|value| value.get(name).unwrap_or(&Value::Null));
        differ(format!("{place}/{name}"), parts, places);
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
