//! The catalog for those who write it: what a form says becomes what the API takes.

use std::str::FromStr;

use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, html};
use percent_encoding::{CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use strum::IntoEnumIterator;
use uuk_central::{
    CentralError, Classification, Drift, Flaw, InformationSystem, OutlinedField, Person, PublishingError,
    Resource, ServiceDescription, Survey, Texts,
};
use uuk_identifiers::{IdentifierError, ServiceId, SubsystemId};
use uuk_pki::Sha256;

use super::layout::layout;
use super::public::field_name;
use super::{Filled, Visit, accesses, differences};
use crate::authorize::{Action, may};
use crate::catalog_desk::{Draft, OwnService, OwnSystem, ServiceView, SystemDraft};
use crate::desk::Desk;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::texts::Language;

/// The field of a form that says what it was made of.
const REPLACES: &str = "replaces";
/// The field of a form that says what another field is.
const CLASS: &str = "class ";
/// The field of a form with the sample answer of an operation.
const SAMPLE: &str = "sample ";

/// A page, by the first part of its path and what the rest names; above it, why something was refused that was written.
pub(super) async fn show(
    visit: &Visit,
    desk: &Desk,
    person: &Person,
    (page, id): (&str, &str),
    refused: Option<(&Problem, &Value)>,
) -> Result<Reply, Problem> {
    let mut now = Value::Null;
    let (title, content) = match (page, id) {
        ("services", "") => {
            let systems = desk.own_systems(person).await?;
            ("page/services", list(visit, person, &systems))
        }
        ("services", id) => {
            let view = desk.own_service(person, &read_id(id)?).await?;
            let systems = desk.own_systems(person).await?;
            let provider = &view.description.service.provider;
            let system = systems.iter().find(|system| system.system == *provider);
            let resources = system.and_then(|system| Some(&system.description.as_ref()?.resources));
            let codes: Vec<&String> = resources.into_iter().flatten().map(|(code, _)| code).collect();
            now = json!({ "description": view.description, "contract": view.contract });
            ("page/service", service(visit, person, &view, &codes))
        }
        ("systems", id) => {
            let systems = desk.own_systems(person).await?;
            let id: SubsystemId = read_id(id)?;
            let system = systems.iter().find(|system| system.system == id).ok_or(Problem::NoSuchPage)?;
            now = json!({ "description": system.description });
            ("page/system", system_form(visit, system))
        }
        ("accesses", "") => ("page/accesses", accesses::list(visit, person, &desk.accesses(person).await?)),
        (_, id) => {
            let asked = desk.central.public_service(&read_id(id)?).await?;
            let (service, outline) = asked.ok_or(Problem::NoSuchPage)?;
            let member = person.member.as_ref().ok_or(Problem::Denied)?;
            let systems = desk.own_systems(person).await?;
            let answers = outline.operations.iter().flat_map(|operation| &operation.answer);
            ("page/ask", accesses::ask(visit, &service, &answers.collect::<Vec<_>>(), member, &systems))
        }
    };
    let content = html! {
        @if let Some((problem, written)) = refused {
            (visit.alert(problem))
            @if differences::is_overtaken(problem) { (differences::overtaken(visit, written, &now)) }
        }
        (content)
    };
    let status = refused.map_or(StatusCode::OK, |(problem, _)| problem.status());
    Ok(Reply::page(status, layout(visit, &visit.text(title), content)))
}

/// Does what a form says, and leads on; what is refused is told on the page that the form was on.
pub(super) async fn post(
    visit: &Visit,
    desk: &Desk,
    person: &Person,
    segments: &[&str],
    form: Filled,
) -> Result<Reply, Problem> {
    let mut written = Value::Null;
    let (place, done) = match segments {
        ["services"] => (("services", String::new()), begin(desk, person, &form).await),
        ["services", id @ .., act] => {
            let id = id.join("/");
            let done = change_service(desk, person, &id, act, &form, &mut written).await;
            (("services", id), done)
        }
        ["systems", id @ .., "describe"] => {
            let id = id.join("/");
            let done = match form.system() {
                Ok(description) => {
                    written = json!({ "description": description });
                    let draft = SystemDraft { description, replaces: Some(form.replaces()?) };
                    desk.describe_system(person, &read_id(&id)?, draft).await
                }
                Err(problem) => Err(problem),
            };
            (("systems", id), done.map(|()| "/services".to_owned()))
        }
        ["accesses", number, "decide"] => {
            let done = match form.content() {
                Ok(deciding) => desk.decide_access(person, super::read_number(number)?, &deciding).await,
                Err(problem) => Err(problem),
            };
            (("accesses", String::new()), done.map(|()| "/accesses".to_owned()))
        }
        ["accesses", id @ ..] => {
            let id = id.join("/");
            let done = match form.access_request(&id) {
                Ok(request) => desk.ask_access(person, &request).await,
                Err(problem) => Err(problem),
            };
            (("accesses", id), done.map(|_| "/accesses".to_owned()))
        }
        _ => return Err(Problem::NoSuchPage),
    };
    match done {
        Ok(to) => Ok(Reply::see_other(&to)),
        Err(
            problem @ (Problem::Publishing(_)
            | Problem::Malformed { .. }
            | Problem::Central(CentralError::Refused(_))),
        ) => {
            problem.log();
            show(visit, desk, person, (place.0, &place.1), Some((&problem, &written))).await
        }
        Err(problem) => Err(problem),
    }
}

/// A new service, of which nothing is said yet.
async fn begin(desk: &Desk, person: &Person, form: &Filled) -> Result<String, Problem> {
    let provider = read_id(&form.field("system"))?;
    let service = ServiceId { provider, code: form.field("code").trim().to_owned() };
    let malformed = |error: IdentifierError| Problem::Malformed { reason: error.to_string() };
    let service = service.checked().map_err(malformed)?;
    let to = format!("/services/{}", utf8_percent_encode(&service.to_string(), CONTROLS));
    desk.begin_service(person, &service).await?;
    Ok(to)
}

/// Does what a form of a service says; `written` becomes the draft that it says.
async fn change_service(
    desk: &Desk,
    person: &Person,
    id: &str,
    act: &str,
    form: &Filled,
    written: &mut Value,
) -> Result<String, Problem> {
    let (service, stay) = (read_id(id)?, format!("/services/{id}"));
    match act {
        "publish" => {
            desk.publish(person, &service, &form.content()?).await?;
        }
        "confirm" => desk.confirm(person, &service, &form.content()?).await?,
        "withdraw" => {
            desk.withdraw(person, &service).await?;
            return Ok("/services".to_owned());
        }
        act => {
            let ServiceView { description: before, contract, .. } =
                desk.own_service(person, &service).await?;
            let (description, contract) = match act {
                "describe" => (form.described(&before)?, contract),
                "classify" => (form.classified(&before)?, contract),
                "contract" => {
                    let text = std::str::from_utf8(&form.file).map_err(|_| PublishingError::NoContract)?;
                    (before, text.to_owned())
                }
                _ => return Err(Problem::NoSuchPage),
            };
            *written = json!({ "description": description, "contract": contract });
            let draft = Draft { description, contract, replaces: Some(form.replaces()?) };
            desk.draft(person, draft).await?;
        }
    }
    Ok(stay)
}

fn read_id<T: FromStr>(id: &str) -> Result<T, Problem> {
    id.parse().map_err(|_| Problem::NoSuchPage)
}

fn list(visit: &Visit, person: &Person, systems: &[OwnSystem]) -> Markup {
    let may_edit = may(person, Action::EditCatalog);
    html! {
        @if systems.is_empty() { p { (visit.text("editor/no_system")) } }
        @for system in systems {
            section {
                @match &system.description {
                    Some(described) => { h2 { (visit.pick(&described.title)) } p.quiet { (system.system) } }
                    None => { h2 { (system.system) } p { (visit.text("editor/not_described")) } }
                }
                @if may_edit { p { a href={ "/systems/" (system.system) } { (visit.text("editor/describe_system")) } } }
                ul.services { @for service in &system.services { (service_line(visit, service)) } }
                @if let Some(survey) = &system.survey { (surveyed(visit, system, survey)) }
                @if may_edit && system.description.is_some() {
                    form.search method="post" action="/services" {
                        (visit.form_token())
                        input type="hidden" name="system" value=(system.system);
                        label { (visit.text("editor/service_code")) input name="code" maxlength="255" required; }
                        button type="submit" { (visit.text("editor/add_service")) }
                    }
                }
            }
        }
    }
}

fn service_line(visit: &Visit, service: &OwnService) -> Markup {
    let title = visit.pick(&service.title);
    html! {
        li {
            a href={ "/services/" (service.service) } { @if title.is_empty() { (service.service.code) } @else { (title) } }
            p.quiet {
                (service.service)
                @if let Some(edition) = service.edition { " · " (visit.language.fill("editor/published", edition)) }
                @if service.has_draft { " · " (visit.text("editor/has_draft")) }
            }
            @if service.is_stale { (stale(visit, service.confirmed_at)) }
        }
    }
}

/// Where a system offers something else than the catalog says; of one that is in the catalog, also that it does not say.
fn surveyed(visit: &Visit, system: &OwnSystem, survey: &Survey) -> Markup {
    let day = survey.at.strftime("%Y-%m-%d").to_string();
    html! {
        @if survey.silence.is_some() && system.services.iter().any(|service| service.edition.is_some()) {
            p.wrong { (visit.language.fill("drift/silence", &day)) }
        }
        @if !survey.drifts.is_empty() {
            p.wrong { (visit.language.fill("drift/found", &day)) }
            ul { @for Drift { service, kind } in &survey.drifts {
                li { code { (service) } ": " (visit.text(&format!("drift/{kind}"))) }
            } }
        }
    }
}

/// That nobody has looked through a description for long.
fn stale(visit: &Visit, since: Option<Timestamp>) -> Markup {
    let since = since.map(|since| since.strftime("%Y-%m-%d").to_string()).unwrap_or_default();
    html! { p.wrong { (visit.language.fill("editor/stale", since)) } }
}

/// The description of an information system, to write.
fn system_form(visit: &Visit, system: &OwnSystem) -> Markup {
    let blank = InformationSystem::default();
    let described = system.description.as_ref().unwrap_or(&blank);
    html! {
        p.lead { (system.system) }
        form method="post" action={ "/systems/" (system.system) "/describe" } {
            (visit.form_token())
            (replaces(&system.sha256))
            (texts_fields(visit, "title", &described.title, &[]))
            (texts_fields(visit, "description", &described.description, &[]))
            @for (code, resource) in &described.resources { (resource_fields(visit, code, resource)) }
            (resource_fields(visit, "", &Resource::default()))
            button type="submit" { (visit.text("editor/save")) }
        }
    }
}

fn resource_fields(visit: &Visit, code: &str, resource: &Resource) -> Markup {
    html! {
        fieldset {
            legend { (visit.text("catalog/resource")) }
            label { (visit.text("editor/code")) input name={ "resource code " (code) } value=(code) maxlength="255"; }
            @for language in Language::iter() {
                label { (visit.text("editor/title")) " · " (language.name())
                    input name={ "resource " (language.code()) " " (code) } lang=(language.code())
                        value=(text_in(&resource.title, language)) maxlength="1000";
                }
            }
        }
    }
}

/// A service as its editor sees it: how it stands, what is wrong where, and everything to change.
fn service(visit: &Visit, person: &Person, view: &ServiceView, resources: &[&String]) -> Markup {
    let id = &view.description.service;
    let may_edit = may(person, Action::EditCatalog);
    html! {
        p.lead { (id) }
        div.standing {
            @match view.edition {
                Some(edition) => p { a href={ "/catalog/" (id) } { (visit.language.fill("editor/published", edition)) } },
                None => p { (visit.text("editor/not_published")) },
            }
            @match view.confirmed_at {
                Some(at) if !view.is_stale => {
                    p { (visit.language.fill("editor/confirmed", at.strftime("%Y-%m-%d"))) }
                }
                at => @if view.is_stale { (stale(visit, at)) },
            }
            @if view.has_draft {
                p { (visit.language.fill("editor/to_mend", view.flaws.len())) }
                (findings(visit, view))
            }
        }
        @if may_edit && view.has_draft { (publish_form(visit, view)) }
        @if let (true, false, Some(edition)) = (may_edit, view.has_draft, view.edition) {
            form.step method="post" action={ "/services/" (id) "/confirm" } {
                (visit.form_token())
                input type="hidden" name="/edition:number" value=(edition);
                p { (visit.text("editor/confirm_help")) }
                button type="submit" { (visit.text("editor/confirm")) }
            }
        }
        @if may_edit {
            (description_form(visit, view, resources))
            (contract_form(visit, view))
            (classification_form(visit, view))
            form.step method="post" action={ "/services/" (id) "/withdraw" } {
                (visit.form_token())
                p { (visit.text("editor/withdraw_help")) }
                button.danger type="submit" { (visit.text("editor/withdraw")) }
            }
        } @else {
            (super::public::operations(visit, &view.outline.operations))
        }
    }
}

/// What stands at no field of a form, and what consumers would lose.
fn findings(visit: &Visit, view: &ServiceView) -> Markup {
    let elsewhere = view.flaws.iter().filter(|flaw| place(flaw).is_none());
    html! {
        ul.findings {
            @for flaw in elsewhere { li { (told(visit, flaw)) } }
            @for breakage in &view.breakages { li { (visit.text("editor/breaks")) ": " (breakage) } }
        }
    }
}

fn publish_form(visit: &Visit, view: &ServiceView) -> Markup {
    html! {
        form.step method="post" action={ "/services/" (view.description.service) "/publish" } {
            (visit.form_token())
            @if !view.breakages.is_empty() {
                label.check {
                    input type="checkbox" name="/may_break:truth" value="yes";
                    (visit.text("editor/may_break"))
                }
            }
            button type="submit" { (visit.text("editor/publish")) }
        }
    }
}

fn description_form(visit: &Visit, view: &ServiceView, resources: &[&String]) -> Markup {
    let described = &view.description;
    let level = &described.service_level;
    let contacts = described.support.iter().map(Some).chain([None]).enumerate();
    html! {
        h2 { (visit.text("editor/description")) }
        form method="post" action={ "/services/" (described.service) "/describe" } {
            (visit.form_token())
            (replaces(&view.sha256))
            (texts_fields(visit, "title", &described.title, &view.flaws))
            (texts_fields(visit, "description", &described.description, &view.flaws))
            @for (name, value) in [("legal_basis", &described.legal_basis), ("tariff", &described.tariff)] {
                label { (visit.text(&format!("catalog/{name}")))
                    input name={ "/" (name) } value=(value) maxlength="1000";
                    (flaws_at(visit, &view.flaws, name))
                }
            }
            label { (visit.text("catalog/resource"))
                select name="/resource:optional" {
                    option value="" { "—" }
                    @for code in resources { option selected[described.resource.as_ref() == Some(*code)] { (code) } }
                }
            }
            label { (visit.text("editor/answer_time_ms"))
                input type="number" min="0" name="/service_level/answer_time_ms:number" value=(level.answer_time_ms); }
            label { (visit.text("editor/down_minutes"))
                input type="number" min="0" name="/service_level/down_minutes_per_month_max:number"
                    value=(level.down_minutes_per_month_max); }
            label { (visit.text("editor/decision_days"))
                input type="number" min="1" max="366" name="/service_level/decision_days:number"
                    value=(level.decision_days); }
            fieldset {
                legend { (visit.text("editor/support")) }
                p { (visit.text("editor/support_help")) }
                (flaws_at(visit, &view.flaws, "support"))
                @for (index, contact) in contacts {
                    @let value = |pick: fn(&uuk_central::Contact) -> Option<&String>| contact.and_then(pick).map_or("", String::as_str);
                    label { (visit.text("editor/contact_name"))
                        input name={ "/support/" (index) "/name" } value=(value(|it| Some(&it.name))) maxlength="255"; }
                    label { (visit.text("editor/contact_phone"))
                        input name={ "/support/" (index) "/phone:optional" } value=(value(|it| it.phone.as_ref())) maxlength="255"; }
                    label { (visit.text("editor/contact_mail"))
                        input name={ "/support/" (index) "/mail:optional" } value=(value(|it| it.mail.as_ref())) maxlength="255"; }
                }
            }
            button type="submit" { (visit.text("editor/save")) }
        }
    }
}

fn contract_form(visit: &Visit, view: &ServiceView) -> Markup {
    html! {
        h2 { (visit.text("catalog/contract")) }
        (flaws_at(visit, &view.flaws, "contract"))
        @if !view.contract.is_empty() {
            details { summary { (visit.text("editor/contract_now")) } pre.code { (view.contract) } }
        }
        form method="post" enctype="multipart/form-data" action={ "/services/" (view.description.service) "/contract" } {
            (visit.form_token())
            (replaces(&view.sha256))
            label { (visit.text("editor/contract_file")) input type="file" name="contract" required; }
            button type="submit" { (visit.text("editor/upload")) }
        }
    }
}

/// What each field is, and an answer of each operation.
fn classification_form(visit: &Visit, view: &ServiceView) -> Markup {
    html! {
        @if !view.outline.operations.is_empty() {
            h2 { (visit.text("catalog/class")) }
            form method="post" action={ "/services/" (view.description.service) "/classify" } {
                (visit.form_token())
                (replaces(&view.sha256))
                @for operation in &view.outline.operations {
                    h3 { (operation.summary.as_deref().unwrap_or(&operation.id)) " " code { (operation.method) " " (operation.path) } }
                    @for (title, fields) in [("catalog/request", &operation.request), ("catalog/answer", &operation.answer)] {
                        @if !fields.is_empty() { h4 { (visit.text(title)) } }
                        @for field in fields { (class_choice(visit, view, field)) }
                    }
                    @if !operation.answer.is_empty() {
                        label { (visit.text("editor/sample"))
                            textarea.pem name={ (SAMPLE) (operation.id) } rows="5" spellcheck="false" {
                                (view.description.samples.get(&operation.id).map(ToString::to_string).unwrap_or_default())
                            }
                            (flaws_at(visit, &view.flaws, &operation.id))
                        }
                    }
                }
                button type="submit" { (visit.text("editor/save")) }
            }
        }
    }
}

fn class_choice(visit: &Visit, view: &ServiceView, field: &OutlinedField) -> Markup {
    html! {
        fieldset.item {
            legend { (field_name(visit, &field.pointer)) " " (flaws_at(visit, &view.flaws, &field.pointer)) }
            @for class in Classification::iter() {
                label.check {
                    input type="radio" name={ (CLASS) (field.pointer) } value=(class) checked[field.class == Some(class)];
                    (visit.text(&format!("class/{class}")))
                }
            }
        }
    }
}

/// The hidden field that says what a form was made of.
fn replaces(sha256: &Sha256) -> Markup {
    html! { input type="hidden" name=(REPLACES) value=(sha256); }
}

/// A text in every language.
fn texts_fields(visit: &Visit, name: &str, texts: &Texts, flaws: &[Flaw]) -> Markup {
    html! {
        fieldset {
            legend { (visit.text(&format!("editor/{name}"))) }
            @for language in Language::iter() {
                label { (language.name())
                    input name={ "/" (name) "/" (language.code()) } lang=(language.code())
                        value=(text_in(texts, language)) maxlength="1000";
                    (flaws_at(visit, flaws, &format!("{name}.{}", language.code())))
                }
            }
        }
    }
}

fn text_in(texts: &Texts, language: Language) -> &str {
    texts.get(language.code()).map_or("", String::as_str)
}

fn flaws_at(visit: &Visit, flaws: &[Flaw], at: &str) -> Markup {
    html! {
        @for flaw in flaws.iter().filter(|flaw| place(flaw).as_deref() == Some(at)) {
            span.wrong { (told(visit, flaw)) }
        }
    }
}

/// The field of the form that a flaw is about.
fn place(flaw: &Flaw) -> Option<String> {
    match flaw {
        Flaw::Contract(_) | Flaw::TooManyFields => Some("contract".to_owned()),
        Flaw::TextMissing { at, language } => Some(format!("{at}.{language}")),
        Flaw::Blank { at } => Some((*at).to_owned()),
        Flaw::Unclassified { field } => Some(field.clone()),
        Flaw::SampleMissing { operation } | Flaw::SampleUnfit { operation, .. } => Some(operation.clone()),
        Flaw::TellsOfPeople { at } if at.starts_with(['/', 'l']) && at != "legal_basis" => {
            Some("contract".to_owned())
        }
        Flaw::TellsOfPeople { at } => Some(at.clone()),
        _ => None,
    }
}

/// What is wrong, for people, and exactly.
fn told(visit: &Visit, flaw: &Flaw) -> String {
    let code = flaw.code();
    let text = visit.language.text_or(&format!("flaw/{}", code.rsplit('.').next().unwrap_or(code)), code);
    match flaw {
        // It stands where it is missing.
        Flaw::Unclassified { .. }
        | Flaw::TextMissing { .. }
        | Flaw::Blank { .. }
        | Flaw::SampleMissing { .. } => text,
        _ => format!("{text} ({})", uuk_process::ErrorChain(flaw)),
    }
}

/// Likewise, and where.
pub(super) fn told_with_place(visit: &Visit, flaw: &Flaw) -> String {
    match place(flaw) {
        Some(place) => format!("{place}: {}", told(visit, flaw)),
        None => told(visit, flaw),
    }
}

impl Filled {
    /// What the form was made of.
    fn replaces(&self) -> Result<Sha256, Problem> {
        let malformed = |_| Problem::Malformed { reason: format!("`{REPLACES}` is no digest") };
        self.field(REPLACES).parse().map_err(malformed)
    }

    /// The description that a form changes the texts of.
    pub(super) fn described(&self, before: &ServiceDescription) -> Result<ServiceDescription, Problem> {
        let mut described = serde_json::to_value(before).map_err(|_| Problem::Internal)?;
        let (Some(fields), Some(written)) = (described.as_object_mut(), self.content.as_object()) else {
            return Err(Problem::Internal);
        };
        fields.insert("resource".to_owned(), Value::Null);
        fields.insert("support".to_owned(), json!([]));
        fields.extend(written.clone());
        read(described)
    }

    /// The description with what a form says of each field and operation.
    pub(super) fn classified(&self, before: &ServiceDescription) -> Result<ServiceDescription, Problem> {
        let (mut classification, mut samples) = (serde_json::Map::new(), serde_json::Map::new());
        for (name, value) in &self.others {
            if let Some(field) = name.strip_prefix(CLASS) {
                classification.insert(field.to_owned(), value.clone().into());
            } else if let Some(operation) = name.strip_prefix(SAMPLE).filter(|_| !value.trim().is_empty()) {
                let sample = serde_json::from_str(value)
                    .map_err(|error| Problem::Malformed { reason: format!("{operation}: {error}") })?;
                samples.insert(operation.to_owned(), sample);
            }
        }
        let classification = read(classification.into())?;
        let samples = read(samples.into())?;
        Ok(ServiceDescription { classification, samples, ..before.clone() })
    }

    /// An information system with its resources, of which those without a code are none.
    pub(super) fn system(&self) -> Result<InformationSystem, Problem> {
        let mut system: InformationSystem = self.content()?;
        for (name, code) in self.others.iter().filter(|(_, code)| !code.trim().is_empty()) {
            let Some(before) = name.strip_prefix("resource code ") else { continue };
            let title = Language::iter().map(|language| {
                let language = language.code();
                (language.to_owned(), self.field(&format!("resource {language} {before}")))
            });
            system.resources.insert(code.trim().to_owned(), Resource { title: title.collect() });
        }
        Ok(system)
    }

    /// What is asked for, of a service.
    pub(super) fn access_request(&self, service: &str) -> Result<uuk_central::AccessRequest, Problem> {
        let fields = self.others.iter().filter(|(name, _)| name == "field").map(|(_, pointer)| pointer);
        let calls: Option<u32> = self.field("calls_per_day").parse().ok();
        read(json!({
            "consumer": self.field("consumer"),
            "service": service,
            "purpose": self.field("purpose"),
            "legal_basis": self.field("legal_basis"),
            "fields": fields.collect::<Vec<_>>(),
            // The day counts to its end.
            "until": format!("{}T23:59:59Z", self.field("until")),
            "calls_per_day": calls,
        }))
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value)
        .map_err(|error| Problem::Malformed { reason: error.to_string().chars().take(300).collect() })
}
