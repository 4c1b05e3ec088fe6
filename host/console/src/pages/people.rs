use maud::{Markup, html};
use strum::IntoEnumIterator;
use uuk_central::{Person, Role};
use uuk_process::Secret;

use super::{Visit, mail};
use crate::authorize::{Action, may};
use crate::problem::Problem;

pub(super) fn list(
    visit: &Visit,
    person: &Person,
    people: &[Person],
    invited: Option<&Result<Secret<String>, Problem>>,
) -> Markup {
    html! {
        @match invited {
            Some(Ok(token)) => div.done role="status" {
                p { (visit.text("person/invited")) }
                p { code { (token.expose()) } }
            },
            Some(Err(problem)) => (visit.alert(problem)),
            None => {}
        }
        div.wide tabindex="0" { table {
            thead { tr {
                @for column in ["name", "full_name", "roles", "member", "state"] {
                    th scope="col" { (visit.text(&format!("person/{column}"))) }
                }
                th { span.hidden { (visit.text("person/dismiss")) } }
            } }
            tbody { @for one in people { (row(visit, person, one)) } }
        } }
        @if may(person, Action::Invite) {
            h2 { (visit.text("person/invite")) }
            form method="post" action="/people" {
                (visit.form_token())
                label { (visit.text("person/name")) input name="/name" pattern="[a-z0-9\\-]+" maxlength="64" required; }
                label { (visit.text("person/full_name")) input name="/full_name" maxlength="255" required; }
                fieldset {
                    legend { (visit.text("person/roles")) }
                    @for (index, role) in Role::iter().enumerate() {
                        label.check {
                            input type="checkbox" name={ "/roles/" (index) } value=(role);
                            (visit.text(&format!("role/{role}")))
                        }
                    }
                }
                label { (visit.text("person/member")) input name="/member:optional" placeholder="KG/GOV/70000001"; }
                label { (visit.text("person/until")) input type="date" name="/until:optional"; }
                (mail::fields(visit, "", None))
                button type="submit" { (visit.text("person/invite")) }
            }
        }
    }
}

fn row(visit: &Visit, person: &Person, one: &Person) -> Markup {
    let roles: Vec<_> = one.roles.iter().map(|role| visit.text(&format!("role/{role}"))).collect();
    let state = match (one.active, one.has_password() || one.has_openid()) {
        (false, _) => "person/gone",
        (true, false) => "person/waiting",
        (true, true) => "person/active",
    };
    html! {
        tr {
            td { (one.name) }
            td { (one.full_name) }
            td { (roles.join(", ")) }
            td { @if let Some(member) = &one.member { (member) } }
            td {
                (visit.text(state))
                @if let Some(until) = one.until.filter(|_| one.active) {
                    ", " (visit.language.fill("person/ends", until))
                }
            }
            td { @if one.active && one.name != person.name && may(person, Action::Dismiss) {
                form method="post" action={ "/people/" (one.name) "/dismiss" } {
                    (visit.form_token())
                    button.plain type="submit" aria-label={ (visit.text("person/dismiss")) ": " (one.name) } {
                        (visit.text("person/dismiss"))
                    }
                }
            } }
        }
    }
}
