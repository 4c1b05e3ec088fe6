use maud::{Markup, html};
use strum::IntoEnumIterator;
use uuk_central::joining::{Duty, InformationSystem, Profile, ResponsiblePerson, Stage};
use uuk_pki::Sha256;

use super::Visit;
use crate::desk::CaseView;

/// The application to write on. Below what there is stands an empty person and an empty system; saving gives the next.
pub(super) fn form(visit: &Visit, case: &CaseView) -> Markup {
    let application = &case.application;
    let persons: Vec<_> = application.persons.iter().map(Some).chain([None]).collect();
    let systems: Vec<_> = application.systems.iter().map(Some).chain([None]).collect();
    let languages = Profile::of(case.profile).map(|profile| &profile.languages);
    html! {
        p { (visit.text("application/help")) }
        form method="post" action={ "/procedures/" (case.number) "/write" } {
            (visit.form_token())
            fieldset {
                legend { (visit.text("application/institution")) }
                @for language in languages.into_iter().flatten() {
                    @let value = application.names.get(language).map_or("", String::as_str);
                    (field(visit, case, &format!("/names/{language}"), &name_label(visit, language), value))
                }
                (field(visit, case, "/address", &visit.text("application/address"), &application.address))
            }
            (said_of(visit, case, "/persons"))
            @for (index, person) in persons.into_iter().enumerate() { (person_fields(visit, case, index, person)) }
            @for (index, system) in systems.into_iter().enumerate() { (system_fields(visit, case, index, system)) }
            div.buttons {
                button type="submit" { (visit.text("application/save")) }
                a href={ "/procedures/" (case.number) } { (visit.text("application/back")) }
            }
        }
    }
}

fn person_fields(visit: &Visit, case: &CaseView, index: usize, person: Option<&ResponsiblePerson>) -> Markup {
    let at = |name: &str| format!("/persons/{index}/{name}");
    let value = |pick: fn(&ResponsiblePerson) -> &str| person.map_or("", pick);
    let until = person.and_then(|person| person.valid_until).map(|date| date.to_string()).unwrap_or_default();
    html! {
        fieldset {
            legend { (visit.language.fill("application/person", index + 1)) }
            (field(visit, case, &at("name"), &visit.text("application/person_name"), value(|it| &it.name)))
            (field(visit, case, &at("position"), &visit.text("application/position"), value(|it| &it.position)))
            (field(visit, case, &at("authority/title"), &visit.text("application/authority"),
                value(|it| &it.authority.title)))
            @if !case.attachments.is_empty() { (authority_field(visit, case, index, person)) }
            label { (visit.text("application/valid_until"))
                input type="date" name={ "/application" (at("valid_until")) ":optional" } value=(until);
                (said_of(visit, case, &at("valid_until")))
            }
            fieldset {
                legend { (visit.text("application/duties")) }
                @for (number, duty) in Duty::iter().enumerate() {
                    label.check {
                        input type="checkbox" name={ "/application" (at("duties")) "/" (number) } value=(duty)
                            checked[person.is_some_and(|person| person.duties.contains(&duty))];
                        (visit.text(&format!("duty/{duty}")))
                    }
                }
            }
        }
    }
}

/// Which of the attachments is the document of authority.
fn authority_field(
    visit: &Visit,
    case: &CaseView,
    index: usize,
    person: Option<&ResponsiblePerson>,
) -> Markup {
    let at = format!("/persons/{index}/authority/sha256");
    let chosen = person.and_then(|person| person.authority.sha256);
    html! {
        label { (visit.text("attachment/of_authority"))
            select name={ "/application" (at) ":optional" } {
                option value="" { (visit.text("attachment/on_paper")) }
                @for attachment in &case.attachments {
                    option value=(attachment.file) selected[chosen == Some(attachment.file)] { (attachment.title) }
                }
            }
            (said_of(visit, case, &at))
        }
    }
}

fn system_fields(visit: &Visit, case: &CaseView, index: usize, system: Option<&InformationSystem>) -> Markup {
    let at = |name: &str| format!("/systems/{index}/{name}");
    html! {
        fieldset {
            legend { (visit.language.fill("application/system", index + 1)) }
            (field(visit, case, &at("name"), &visit.text("application/system_name"), system.map_or("", |it| &it.name)))
            (field(visit, case, &at("purpose"), &visit.text("application/purpose"),
                system.map_or("", |it| &it.purpose)))
        }
    }
}

fn field(visit: &Visit, case: &CaseView, pointer: &str, label: &str, value: &str) -> Markup {
    html! {
        label { (label)
            input name={ "/application" (pointer) } value=(value) maxlength="1000";
            (said_of(visit, case, pointer))
        }
    }
}

/// What is missing or wrong in a field, once something has been written at all.
fn said_of(visit: &Visit, case: &CaseView, pointer: &str) -> Markup {
    let problems =
        case.problems.iter().filter(|problem| problem.field == pointer && !case.history.is_empty());
    html! {
        @for problem in problems {
            span.wrong { (visit.language.text_or(&format!("field/{}", problem.problem.replace(' ', "_")), problem.problem)) }
        }
    }
}

fn name_label(visit: &Visit, language: &str) -> String {
    visit.language.text_or(&format!("application/name_{language}"), language)
}

/// What the application says, to read.
pub(super) fn summary(visit: &Visit, case: &CaseView) -> Markup {
    let application = &case.application;
    html! {
        dl {
            @for (language, name) in &application.names { dt { (name_label(visit, language)) } dd { (name) } }
            dt { (visit.text("application/address")) } dd { (application.address) }
        }
        @for (index, person) in application.persons.iter().enumerate() {
            h3 { (visit.language.fill("application/person", index + 1)) }
            dl {
                dt { (visit.text("application/person_name")) } dd { (person.name) }
                dt { (visit.text("application/position")) } dd { (person.position) }
                dt { (visit.text("application/authority")) }
                dd { (person.authority.title)
                    @if let Some(digest) = person.authority.sha256 { " " (attached(visit, case, &digest)) } }
                @if let Some(until) = person.valid_until {
                    dt { (visit.text("application/valid_until")) } dd { (until) }
                }
                dt { (visit.text("application/duties")) }
                dd { ul { @for duty in &person.duties { li { (visit.text(&format!("duty/{duty}"))) } } } }
            }
        }
        @for (index, system) in application.systems.iter().enumerate() {
            h3 { (visit.language.fill("application/system", index + 1)) }
            dl {
                dt { (visit.text("application/system_name")) } dd { (system.name) }
                dt { (visit.text("application/purpose")) } dd { (system.purpose) }
            }
        }
        @if !case.attachments.is_empty() {
            h3 { (visit.text("attachment/title")) }
            ol { @for attachment in &case.attachments {
                li {
                    a href={ "/procedures/" (case.number) "/attachments/" (attachment.file) } { (attachment.title) }
                    " " span.code { (attachment.file) }
                }
            } }
        }
        @if application.systems.is_empty() { p.wrong { (visit.text("application/no_system")) } }
    }
}

/// By which number a document stands among the attachments.
fn attached(visit: &Visit, case: &CaseView, digest: &Sha256) -> Markup {
    let place = case.attachments.iter().position(|attachment| attachment.file == *digest);
    html! { @if let Some(place) = place { "(" (visit.language.fill("attachment/number", place + 1)) ")" } }
}

/// For paper: exactly this content, with its number and digest, to be signed; at the end, that the member is ready.
pub(super) fn print(visit: &Visit, case: &CaseView) -> Markup {
    let title = Profile::of(case.profile).map_or(case.profile, |profile| &profile.title);
    html! {
        article.paper {
            p { (visit.language.text_or(&format!("profile/{}", case.profile), title)) }
            dl {
                dt { (visit.text("procedure/number")) } dd { (case.number) }
                dt { (visit.text("procedure/member")) } dd { (case.member) }
                dt { (visit.text("application/sha256")) } dd { code { (case.application_sha256) } }
            }
            (summary(visit, case))
            @if case.stage == Stage::Ready {
                h2 { (visit.text("ready/title")) }
                p { (visit.text("ready/text")) }
                ul { @for gate in &case.gates { @if let Some(at) = gate.passed {
                    li { (visit.text(&format!("stage/{}", gate.stage))) ": " (at.strftime("%Y-%m-%d")) }
                } } }
            } @else {
                p.signature { (visit.text("application/head_signs")) }
            }
        }
    }
}
