use maud::{Markup, html};
use serde_json::Value;
use uuk_central::{AuditEntry, AuditPage};

use super::{Visit, differences};
use crate::desk::AuditQuestion;

/// Entries of the audit log, newest first, and the way to older ones.
pub(super) fn show(visit: &Visit, question: &AuditQuestion, page: &AuditPage) -> Markup {
    html! {
        form.search role="search" method="get" action="/audit" {
            label { (visit.text("audit/search"))
                input type="search" name="contains" value=(question.contains) maxlength=(AuditQuestion::CHARS_MAX);
            }
            button type="submit" { (visit.text("catalog/find")) }
        }
        p { (visit.text("audit/verify")) " " code { "uuk central audit" } }
        @if page.entries.is_empty() { p { (visit.text("audit/none")) } }
        @for entry in &page.entries { (one(visit, entry)) }
        @if let Some(before) = page.next {
            @let older = AuditQuestion { before: Some(before), contains: question.contains.clone() };
            p { a.button rel="next" href={ "/audit?" (older.query()) } { (visit.text("audit/older")) } }
        }
    }
}

fn one(visit: &Visit, entry: &AuditEntry) -> Markup {
    let nothing = Value::Null;
    html! {
        details.entry {
            summary {
                span.number { (entry.number) } " "
                time datetime=(entry.at) { (entry.at.strftime("%Y-%m-%d %H:%M:%S UTC")) } " "
                b { (entry.actor) } " " code { (entry.act) }
                @for edit in &entry.edits { " " span { (edit.kind) " " (edit.id) } }
            }
            @for edit in &entry.edits {
                h2 { (edit.kind) " " (edit.id) }
                (differences::change(
                    visit,
                    edit.before.as_ref().unwrap_or(&nothing),
                    edit.after.as_ref().unwrap_or(&nothing),
                ))
            }
        }
    }
}
