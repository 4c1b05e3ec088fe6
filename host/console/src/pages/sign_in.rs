use maud::{Markup, html};

use super::Visit;
use crate::problem::Problem;

pub(super) fn form(visit: &Visit, problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem { (visit.alert(problem)) }
        form.narrow method="post" action="/sign-in" {
            label { (visit.text("person/name"))
                input name="name" autocomplete="username" required autofocus; }
            label { (visit.text("person/password"))
                input name="password" type="password" autocomplete="current-password" required; }
            label { (visit.text("person/code_if_any"))
                input name="code" autocomplete="one-time-code" maxlength="40"; }
            button type="submit" { (visit.text("page/sign_in")) }
        }
        p { a href="/invitation" { (visit.text("page/invitation")) } }
    }
}

pub(super) fn invitation(visit: &Visit, problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem { (visit.alert(problem)) }
        form.narrow method="post" action="/invitation" {
            label { (visit.text("person/invitation")) input name="invitation" autocomplete="off" required; }
            label { (visit.text("person/new_password"))
                input name="password" type="password" autocomplete="new-password" minlength="12" required; }
            button type="submit" { (visit.text("person/accept")) }
        }
    }
}
