//! Access to services, for those who ask for it and those who grant it.

use maud::{Markup, html};
use uuk_central::{Contact, OutlinedField, Person, PublicService};
use uuk_identifiers::MemberId;

use super::Visit;
use super::public::field_name;
use crate::authorize::{Action, may};
use crate::catalog_desk::{AccessView, OwnSystem};

/// The requests in which a member is consumer or provider.
pub(super) fn list(visit: &Visit, person: &Person, views: &[AccessView]) -> Markup {
    html! {
        @if views.is_empty() { p { (visit.text("access/none")) } }
        @for view in views { (access(visit, person, view)) }
    }
}

fn access(visit: &Visit, person: &Person, view: &AccessView) -> Markup {
    let (request, decision) = (&view.access.request, &view.access.decision);
    let state = match decision {
        None => "access/waiting",
        Some(decision) if !decision.granted => "access/refused",
        Some(_) if view.counts => "access/granted",
        Some(_) => "access/over",
    };
    let is_open = decision.as_ref().is_none_or(|decision| decision.granted);
    html! {
        section.step {
            h2 { (visit.language.fill("access/number", view.number)) " · " (visit.text(state)) }
            @if let (Some(due), None) = (view.access.due, decision) {
                p.wrong[view.is_overdue] { (visit.language.fill("access/due", due.strftime("%Y-%m-%d"))) }
            }
            dl {
                dt { (visit.text("access/consumer")) } dd { (request.consumer) }
                dt { (visit.text("access/service")) }
                dd { a href={ "/catalog/" (request.service) } { (request.service) } }
                dt { (visit.text("access/purpose")) } dd { (request.purpose) }
                dt { (visit.text("catalog/legal_basis")) } dd { (request.legal_basis) }
                dt { (visit.text("access/fields")) }
                dd { ul { @for field in &request.fields { li { (field_name(visit, field)) } } } }
                dt { (visit.text("access/until")) } dd { (request.until.strftime("%Y-%m-%d")) }
                dt { (visit.text("access/calls")) } dd { (request.calls_per_day) }
                @if let Some(decision) = decision {
                    dt { (visit.text("access/note")) } dd { (decision.note) ", " (decision.at.strftime("%Y-%m-%d")) }
                }
                @if !view.support.is_empty() {
                    dt { (visit.text("editor/support")) }
                    dd { ul { @for Contact { name, phone, mail } in &view.support {
                        li { (name) @for way in [phone, mail].into_iter().flatten() { ", " (way) } }
                    } } }
                }
            }
            @if is_open && view.is_provider && may(person, Action::DecideAccess) {
                form method="post" action={ "/accesses/" (view.number) "/decide" } {
                    (visit.form_token())
                    label { (visit.text("access/note")) input name="/note" maxlength="255" required; }
                    @if decision.is_none() {
                        button type="submit" name="/granted:truth" value="yes" { (visit.text("access/grant")) }
                    }
                    button.danger type="submit" name="/granted:truth" value="no" { (visit.text("access/refuse")) }
                }
            }
        }
    }
}

/// What a consumer asks a provider for.
pub(super) fn ask(
    visit: &Visit,
    service: &PublicService,
    fields: &[&OutlinedField],
    member: &MemberId,
    systems: &[OwnSystem],
) -> Markup {
    html! {
        p.lead { a href={ "/catalog/" (service.service) } { (visit.pick(&service.title)) } " · " (service.service) }
        form method="post" action={ "/accesses/" (service.service) } {
            (visit.form_token())
            label { (visit.text("access/consumer"))
                select name="consumer" {
                    @for system in systems { option { (system.system) } }
                    option { (member) }
                }
            }
            label { (visit.text("access/purpose")) input name="purpose" maxlength="255" required; }
            label { (visit.text("catalog/legal_basis")) input name="legal_basis" maxlength="255" required; }
            fieldset {
                legend { (visit.text("access/fields")) }
                @for field in fields {
                    label.check {
                        input type="checkbox" name="field" value=(field.pointer);
                        (field_name(visit, &field.pointer))
                        @if let Some(class) = field.class { " " span.class.(class) { (visit.text(&format!("class/{class}"))) } }
                    }
                }
            }
            label { (visit.text("access/until")) input type="date" name="until" required; }
            label { (visit.text("access/calls")) input type="number" name="calls_per_day" min="1" required; }
            button type="submit" { (visit.text("access/ask")) }
        }
    }
}
