//! The catalog for everybody: what is told here, the API tells too.

use http::StatusCode;
use maud::{Markup, html};
use uuk_central::{
    Classification, OutlinedField, OutlinedOperation, PublicMember, PublicService, PublicSystem, Texts,
};
use uuk_identifiers::{MemberId, ServiceId, SubsystemId};

use super::Visit;
use super::layout::layout;
use crate::authorize::{Action, may};
use crate::console::Asked;
use crate::desk::Desk;
use crate::problem::Problem;
use crate::reply::Reply;

/// A search for more is not read.
const QUESTION_CHARS_MAX: usize = 200;

/// The page of what `id` names: the whole catalog, a member, an information system, or a service.
pub(super) async fn answer(visit: &Visit, desk: &Desk, asked: &Asked, id: &str) -> Result<Reply, Problem> {
    let (title, content) = if id.is_empty() {
        (visit.text("page/catalog"), catalog(visit, desk, &question(&asked.query)).await?)
    } else if let Ok(service) = id.parse::<ServiceId>() {
        service_page(visit, desk, &service).await?
    } else if let Ok(system) = id.parse::<SubsystemId>() {
        member_page(visit, desk, &system.member, Some(&system)).await?
    } else {
        let member = id.parse::<MemberId>().map_err(|_| Problem::NoSuchPage)?;
        member_page(visit, desk, &member, None).await?
    };
    let page = Reply::page(StatusCode::OK, layout(visit, &title, content));
    // Who is signed in stands on the page.
    Ok(match visit.session {
        Some(_) => page,
        None => page.keepable(asked).header("vary", "accept-language, cookie"),
    })
}

/// What is searched for.
pub(crate) fn question(query: &str) -> String {
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "q");
    asked.map(|(_, text)| text.chars().take(QUESTION_CHARS_MAX).collect()).unwrap_or_default()
}

async fn catalog(visit: &Visit, desk: &Desk, question: &str) -> Result<Markup, Problem> {
    let found = match question.trim().is_empty() {
        true => None,
        false => Some(desk.central.search_catalog(question).await?),
    };
    let members = match found {
        Some(_) => Vec::new(),
        None => desk.central.public_members().await?,
    };
    Ok(html! {
        form.search role="search" method="get" action="/catalog" {
            label { (visit.text("catalog/search"))
                input type="search" name="q" value=(question) maxlength=(QUESTION_CHARS_MAX);
            }
            button type="submit" { (visit.text("catalog/find")) }
        }
        @match &found {
            Some(services) => {
                h2 { (visit.language.fill("catalog/found", services.len())) }
                (service_list(visit, services, true))
                p { a href="/catalog" { (visit.text("catalog/all_members")) } }
            },
            None => {
                h2 { (visit.text("catalog/members")) }
                @if members.is_empty() { p { (visit.text("catalog/empty")) } }
                ul.members { @for member in &members { (member_line(visit, member)) } }
            }
        }
    })
}

fn member_line(visit: &Visit, member: &PublicMember) -> Markup {
    html! {
        li {
            a href={ "/catalog/" (member.member) } { (member.name) }
            " " span.quiet { (member.member) " · " (visit.language.fill("catalog/services_count", member.services)) }
        }
    }
}

fn service_list(visit: &Visit, services: &[PublicService], with_provider: bool) -> Markup {
    html! {
        ul.services {
            @for service in services {
                li {
                    a href={ "/catalog/" (service.service) } { (visit.pick(&service.title)) }
                    p { (visit.pick(&service.description)) }
                    p.quiet {
                        @if with_provider { (service.service) } @else { (service.service.code) }
                        @for class in service.classes.iter().filter(|class| **class != Classification::None) { " " span.class.(class) { (visit.text(&format!("class/{class}"))) } }
                    }
                }
            }
        }
    }
}

/// A member with its systems, or with one of them.
async fn member_page(
    visit: &Visit,
    desk: &Desk,
    member: &MemberId,
    only: Option<&SubsystemId>,
) -> Result<(String, Markup), Problem> {
    let (member, mut systems) = desk.central.public_member(member).await?.ok_or(Problem::NoSuchPage)?;
    systems.retain(|system| only.is_none_or(|only| system.system == *only));
    if systems.is_empty() {
        return Err(Problem::NoSuchPage);
    }
    let content = html! {
        p.lead { (member.member) }
        @if only.is_some() { p { a href={ "/catalog/" (member.member) } { (visit.text("catalog/whole_member")) } } }
        @for system in &systems { (system_section(visit, system)) }
        (for_programs(visit, &format!("/api/v1/catalog/members/{}", member.member)))
    };
    Ok((member.name, content))
}

fn system_section(visit: &Visit, system: &PublicSystem) -> Markup {
    html! {
        section {
            h2 { a href={ "/catalog/" (system.system) } { (visit.pick(&system.title)) } }
            p.quiet { (system.system) }
            p { (visit.pick(&system.description)) }
            @if !system.resources.is_empty() {
                h3 { (visit.text("catalog/resources")) }
                ul { @for resource in system.resources.values() { li { (visit.pick(&resource.title)) } } }
            }
            h3 { (visit.text("catalog/services")) }
            @if system.services.is_empty() { p { (visit.text("catalog/no_service")) } }
            (service_list(visit, &system.services, false))
        }
    }
}

async fn service_page(visit: &Visit, desk: &Desk, id: &ServiceId) -> Result<(String, Markup), Problem> {
    let (service, outline) = desk.central.public_service(id).await?.ok_or(Problem::NoSuchPage)?;
    let (_, systems) = desk.central.public_member(&id.provider.member).await?.ok_or(Problem::NoSuchPage)?;
    let system = systems.iter().find(|system| system.system == id.provider);
    let resource = service.resource.as_ref().and_then(|code| system?.resources.get(code));
    let api = format!("/api/v1/catalog/services/{id}");
    let content = html! {
        p.lead { (service.service) }
        p { (visit.pick(&service.description)) }
        dl {
            dt { (visit.text("catalog/system")) }
            dd { a href={ "/catalog/" (id.provider) } {
                @match system { Some(system) => (visit.pick(&system.title)), None => (id.provider) }
            } }
            @if let Some(resource) = resource {
                dt { (visit.text("catalog/resource")) } dd { (visit.pick(&resource.title)) }
            }
            dt { (visit.text("catalog/legal_basis")) } dd { (service.legal_basis) }
            dt { (visit.text("catalog/tariff")) } dd { (service.tariff) }
            dt { (visit.text("catalog/service_level")) }
            dd {
                (visit.language.fill("catalog/answer_time", service.service_level.answer_time_ms)) " "
                (visit.language.fill("catalog/down", service.service_level.down_minutes_per_month_max)) " "
                (visit.language.fill("catalog/decision", service.service_level.decision_days))
            }
            dt { (visit.text("catalog/edition")) }
            dd {
                (service.edition) ", " (service.published_at.strftime("%Y-%m-%d"))
                @if service.confirmed_at != service.published_at {
                    ". " (visit.language.fill("editor/confirmed", service.confirmed_at.strftime("%Y-%m-%d")))
                }
            }
        }
        h2 { (visit.text("catalog/contract")) }
        p {
            a.button href={ (api) "/contract" } { (visit.text("catalog/download")) }
            @if visit.session.as_ref().is_some_and(|(person, _)| may(person, Action::AskAccess)) {
                a.button href={ "/accesses/" (id) } { (visit.text("access/ask")) }
            }
        }
        p.code { (service.contract) }
        (operations(visit, &outline.operations))
        (other_languages(visit, &service))
        (for_programs(visit, &api))
    };
    Ok((visit.pick(&service.title).to_owned(), content))
}

/// A contract to read: what can be asked for, what goes in, and what comes back.
pub(super) fn operations(visit: &Visit, operations: &[OutlinedOperation]) -> Markup {
    html! {
        @for operation in operations {
            section.operation {
                h3 { (operation.summary.as_deref().unwrap_or(&operation.id)) }
                p { code { (operation.method) " " (operation.path) } }
                (fields(visit, "catalog/request", &operation.request))
                (fields(visit, "catalog/answer", &operation.answer))
            }
        }
    }
}

fn fields(visit: &Visit, title: &str, fields: &[OutlinedField]) -> Markup {
    html! {
        @if !fields.is_empty() {
            div.wide tabindex="0" { table {
                caption { (visit.text(title)) }
                thead { tr {
                    @for column in ["field", "kind", "always", "class"] {
                        th scope="col" { (visit.text(&format!("catalog/{column}"))) }
                    }
                } }
                tbody { @for field in fields { tr {
                    th scope="row" { (field_name(visit, &field.pointer)) }
                    td { (kind(visit, field)) }
                    td { (visit.text(if field.field.required { "catalog/yes" } else { "catalog/no" })) }
                    td { @if let Some(class) = field.class {
                        span.class.(class) { (visit.text(&format!("class/{class}"))) }
                    } }
                } } }
            } }
        }
    }
}

/// A field within its operation: `people › each › surname`.
pub(super) fn field_name(visit: &Visit, pointer: &str) -> String {
    let names = pointer.split('/').skip(3).map(|name| match name {
        "*" => visit.text("catalog/each"),
        name => name.replace("~1", "/").replace("~0", "~"),
    });
    let name = names.collect::<Vec<_>>().join(" › ");
    if name.is_empty() { visit.text("catalog/whole") } else { name }
}

fn kind(visit: &Visit, field: &OutlinedField) -> Markup {
    let types = field.field.types.iter().map(|name| visit.text(&format!("type/{name}")));
    let types = types.collect::<Vec<_>>().join(", ");
    html! {
        @if types.is_empty() { (visit.text("type/any")) } @else { (types) }
        @if let Some(values) = &field.field.values {
            ": " @for (index, value) in values.iter().enumerate() { @if index > 0 { ", " } code { (value.trim_matches('"')) } }
        }
    }
}

/// What the service is called elsewhere.
fn other_languages(visit: &Visit, service: &PublicService) -> Markup {
    let here = visit.language.code();
    html! {
        details {
            summary { (visit.text("catalog/other_languages")) }
            dl { @for (language, title) in service.title.iter().filter(|(language, _)| *language != here) {
                dt { (language) }
                dd lang=(language) {
                    strong { (title) } " " (service.description.get(language).map_or("", String::as_str))
                }
            } }
        }
    }
}

fn for_programs(visit: &Visit, path: &str) -> Markup {
    html! { p.quiet { a href=(path) { (visit.text("catalog/for_programs")) } } }
}

impl Visit {
    /// The text in the language of the page; the catalog has every text in all of its languages.
    pub(super) fn pick<'t>(&self, texts: &'t Texts) -> &'t str {
        let text = texts.get(self.language.code()).or_else(|| texts.values().next());
        text.map_or("", String::as_str)
    }
}
