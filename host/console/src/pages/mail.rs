use maud::{Markup, html};
use strum::IntoEnumIterator;
use uuk_central::{Person, UnsentLetter};

use super::Visit;
use crate::letters;
use crate::problem::Problem;
use crate::texts::Language;

/// Where a person's letters go, for them to change.
pub(super) fn form(visit: &Visit, person: &Person, problem: Option<&Problem>) -> Markup {
    let mail = person.mail.as_ref().map_or("", |mail| mail.as_str());
    html! {
        h2 { (visit.text("letter/own")) }
        @if let Some(problem) = problem { (visit.alert(problem)) }
        form.narrow method="post" action="/mail" {
            (visit.form_token())
            (fields(visit, mail, person.language.as_deref()))
            button type="submit" { (visit.text("letter/keep")) }
        }
    }
}

/// An address and a language.
pub(super) fn fields(visit: &Visit, mail: &str, language: Option<&str>) -> Markup {
    let chosen = language.unwrap_or(visit.language.code());
    html! {
        label { (visit.text("letter/mail")) input type="email" name="/mail:optional" maxlength="254" value=(mail); }
        label { (visit.text("page/language"))
            select name="/language" { @for language in Language::iter() {
                option value=(language.code()) selected[language.code() == chosen] { (language.name()) }
            } }
        }
    }
}

/// Letters that do not get through, if there are any.
pub(super) fn unsent(visit: &Visit, letters: &[UnsentLetter]) -> Markup {
    html! { @if !letters.is_empty() {
        h2 { (visit.text("letter/unsent")) }
        div.wide tabindex="0" { table {
            thead { tr {
                @for column in ["person/name", "letter/about", "letter/attempts", "letter/next", "letter/hindrance"] {
                    th scope="col" { (visit.text(column)) }
                }
            } }
            tbody { @for letter in letters { tr {
                td { (letter.person) }
                td { (letters::subject(&letter.notice, visit.language)) }
                td { (letter.attempts) }
                td { @match letter.next {
                    Some(next) => (next.strftime("%Y-%m-%d %H:%M UTC")),
                    None => (visit.text("letter/given_up")),
                } }
                td { @if let Some(hindrance) = &letter.hindrance { (hindrance) } }
            } } }
        } }
    } }
}
