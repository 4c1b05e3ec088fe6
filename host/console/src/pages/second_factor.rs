use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuk_central::Person;
use uuk_process::Secret;

use super::{Filled, Visit};
use crate::desk::{Desk, actor};
use crate::problem::Problem;

/// What a person sees of their second factor.
pub(super) fn show(visit: &Visit, person: &Person, problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem { (visit.alert(problem)) }
        @if person.has_openid() {
            p { (visit.text("second_factor/with_openid")) }
        } @else if person.has_second_factor() {
            p { (visit.text("second_factor/there")) }
            (code_form(visit, "remove"))
        } @else {
            p { (visit.text("second_factor/none")) }
            form.narrow method="post" action="/second-factor/begin" {
                (visit.form_token())
                button type="submit" { (visit.text("second_factor/begin")) }
            }
        }
    }
}

/// Does what a form says; what comes of it is shown once.
pub(super) async fn post(
    visit: &Visit,
    desk: &Desk,
    person: &Person,
    act: &str,
    form: &Filled,
) -> Result<Markup, Problem> {
    let (central, actor, name, code) = (&desk.central, actor(person)?, &person.name, form.field("code"));
    match act {
        "begin" => Ok(begun(visit, name, &central.begin_second_factor(&actor, name).await?)),
        "confirm" => Ok(confirmed(visit, &central.confirm_second_factor(&actor, name, &code).await?)),
        "remove" => {
            central.remove_second_factor(&actor, name, &code).await?;
            Ok(html! { div.done role="status" { p { (visit.text("second_factor/gone")) } } })
        }
        _ => Err(Problem::NoSuchPage),
    }
}

/// The form to go on with after a wrong code.
pub(super) fn again(visit: &Visit, person: &Person, act: &str, problem: &Problem) -> Markup {
    match act {
        "confirm" => html! { (visit.alert(problem)) (code_form(visit, "confirm")) },
        _ => show(visit, person, Some(problem)),
    }
}

fn begun(visit: &Visit, name: &str, key: &Secret<String>) -> Markup {
    let issuer = utf8_percent_encode(&visit.text("page/home"), NON_ALPHANUMERIC).to_string();
    let link = format!("otpauth://totp/{name}?secret={}&issuer={issuer}", key.expose());
    html! {
        p { (visit.text("second_factor/key")) }
        p { code { (key.expose()) } }
        p { a href=(link) { (visit.text("second_factor/open")) } }
        (code_form(visit, "confirm"))
    }
}

fn confirmed(visit: &Visit, codes: &[Secret<String>]) -> Markup {
    html! {
        div.done role="status" {
            p { (visit.text("second_factor/recovery")) }
            ul { @for code in codes { li { code { (code.expose()) } } } }
        }
    }
}

fn code_form(visit: &Visit, act: &str) -> Markup {
    html! {
        form.narrow method="post" action={ "/second-factor/" (act) } {
            (visit.form_token())
            label { (visit.text("person/code"))
                input name="code" autocomplete="one-time-code" maxlength="40" required; }
            button.danger[act == "remove"] type="submit" { (visit.text(&format!("second_factor/{act}"))) }
        }
    }
}
