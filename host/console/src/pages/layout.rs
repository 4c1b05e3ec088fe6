use maud::{DOCTYPE, Markup, html};
use strum::IntoEnumIterator;
use uuk_central::MailAddress;

use super::Visit;
use crate::authorize::{Action, may};
use crate::config::ContactConfig;
use crate::texts::Language;

/// A whole page.
pub(super) fn layout(visit: &Visit, title: &str, content: Markup) -> Markup {
    let to: String = form_urlencoded::byte_serialize(visit.path.as_bytes()).collect();
    html! {
        (DOCTYPE)
        html lang=(visit.language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#content" { (visit.text("page/skip")) }
                header {
                    nav aria-label=(visit.text("page/navigation")) {
                        a.home href="/" { (visit.text("page/home")) }
                        a href="/catalog" { (visit.text("page/catalog")) }
                        @if let Some((person, _)) = &visit.session {
                            a href="/procedures" { (visit.text("page/procedures")) }
                            @if may(person, Action::SeeSubmissions) {
                                a href="/vetting" { (visit.text("page/vetting")) }
                            }
                            @if may(person, Action::SeeCatalog) {
                                a href="/services" { (visit.text("page/services")) }
                                a href="/accesses" { (visit.text("page/accesses")) }
                            }
                            @if may(person, Action::SeePeople) {
                                a href="/people" { (visit.text("page/people")) }
                            }
                            @if may(person, Action::SeeAudit) {
                                a href="/audit" { (visit.text("page/audit")) }
                            }
                        }
                    }
                    nav.languages aria-label=(visit.text("page/language")) {
                        @for language in Language::iter() {
                            @let current = (language == visit.language).then_some("true");
                            a href={ "/language/" (language.code()) "?to=" (to) } lang=(language.code()) aria-current=[current] {
                                (language.name())
                            }
                        }
                    }
                    @if let Some((person, _)) = &visit.session {
                        form.person method="post" action="/sign-out" {
                            (visit.form_token())
                            a href="/second-factor" { (person.full_name) }
                            button.plain type="submit" { (visit.text("page/sign_out")) }
                        }
                    }
                }
                main #content { h1 { (title) } (content) }
                @if let Some(contact) = &visit.contact { footer { (reached(visit, contact)) } }
            }
        }
    }
}

/// How the operator's people are reached.
fn reached(visit: &Visit, contact: &ContactConfig) -> Markup {
    html! {
        p {
            (visit.text("contact/help"))
            @if let (Some(phone), Some(digits)) = (&contact.phone, contact.phone_digits()) {
                " " a href={ "tel:" (digits) } { (phone) }
            }
            @if let Some(mail) = contact.mail.as_ref().map(MailAddress::as_str) { " " a href={ "mailto:" (mail) } { (mail) } }
            @if let Some(hours) = &contact.hours { " · " (hours) }
        }
    }
}
