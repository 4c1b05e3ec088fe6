//! The HTTP API: programs act for people by their tokens.

use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;
use uuk_central::joining::{Calendar, Profile};
use uuk_central::vetting::VettingStep;
use uuk_central::{AccessRequest, Person, Step};
use uuk_identifiers::ServiceId;

use crate::catalog_desk::Draft;
use crate::console::{Asked, Received};
use crate::desk::{AuditQuestion, Beginning, CalendarDraft, Desk, Invitation, MailWish};
use crate::problem::Problem;
use crate::public_api;
use crate::reply::{MIMETYPE, Reply};

pub(crate) const PREFIX: &str = "/api/";
/// A reason that quotes a request is cut.
const REASON_CHARS_MAX: usize = 300;

/// What can be asked: the router and the description are made of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
pub(crate) enum Operation {
    DescribeApi,
    SearchCatalog,
    ListCatalogMembers,
    ShowCatalogMember,
    ShowCatalogService,
    DownloadContract,
    ShowMyself,
    SetMail,
    ListProfiles,
    ListProcedures,
    BeginProcedure,
    ShowProcedure,
    TakeStep,
    Attach,
    DownloadAttachment,
    AttachSignedCopy,
    DownloadSignedCopy,
    ListCalendars,
    SetCalendar,
    ListSubmissions,
    SubmitBundle,
    ShowSubmission,
    TakeVettingStep,
    DownloadSubmitted,
    DownloadVetted,
    ListOwnSystems,
    DescribeSystem,
    ShowOwnService,
    DraftService,
    PublishService,
    ConfirmService,
    WithdrawService,
    ListAccesses,
    AskAccess,
    DecideAccess,
    ListPeople,
    ListLetters,
    InvitePerson,
    DismissPerson,
    ShowAudit,
}

impl Operation {
    /// Whether it is for everybody, without a token.
    pub(crate) fn is_public(self) -> bool {
        matches!(
            self,
            Self::DescribeApi
                | Self::SearchCatalog
                | Self::ListCatalogMembers
                | Self::ShowCatalogMember
                | Self::ShowCatalogService
                | Self::DownloadContract
        )
    }
}

/// Where each is, and what it does.
pub(crate) const ROUTES: &[(Operation, &str, &str, &str)] = &[
    (Operation::DescribeApi, "GET", "/api/v1/openapi.json", "This description"),
    (
        Operation::SearchCatalog,
        "GET",
        "/api/v1/catalog/services",
        "Published services by the beginnings of words",
    ),
    (Operation::ListCatalogMembers, "GET", "/api/v1/catalog/members", "The members that serve others"),
    (
        Operation::ShowCatalogMember,
        "GET",
        "/api/v1/catalog/members/{instance}/{class}/{member}",
        "A member's information systems and what they have published",
    ),
    (
        Operation::ShowCatalogService,
        "GET",
        "/api/v1/catalog/services/{instance}/{class}/{member}/{subsystem}/{service}",
        "A published service, with the operations and fields of its contract",
    ),
    (
        Operation::DownloadContract,
        "GET",
        "/api/v1/catalog/services/{instance}/{class}/{member}/{subsystem}/{service}/contract",
        "The exact bytes of a published service's contract",
    ),
    (Operation::ShowMyself, "GET", "/api/v1/me", "For whom the token acts"),
    (Operation::SetMail, "PUT", "/api/v1/me/mail", "Say where one's own letters go, and in which language"),
    (Operation::ListProfiles, "GET", "/api/v1/profiles", "The rules by which institutions join"),
    (Operation::ListProcedures, "GET", "/api/v1/procedures", "The procedures that the person may see"),
    (
        Operation::BeginProcedure,
        "POST",
        "/api/v1/procedures",
        "Begin a procedure for the person's institution",
    ),
    (Operation::ShowProcedure, "GET", "/api/v1/procedures/{number}", "A procedure with all its data"),
    (Operation::TakeStep, "POST", "/api/v1/procedures/{number}/steps", "Do something in a procedure"),
    (
        Operation::Attach,
        "POST",
        "/api/v1/procedures/{number}/attachments",
        "Add a file to the application: PDF, JPEG or PNG",
    ),
    (
        Operation::DownloadAttachment,
        "GET",
        "/api/v1/procedures/{number}/attachments/{sha256}",
        "A file that belongs to the application",
    ),
    (
        Operation::AttachSignedCopy,
        "PUT",
        "/api/v1/procedures/{number}/signed-copy",
        "Add the printed application with its signature: PDF, JPEG or PNG",
    ),
    (
        Operation::DownloadSignedCopy,
        "GET",
        "/api/v1/procedures/{number}/signed-copy",
        "The printed application with its signature",
    ),
    (Operation::ListCalendars, "GET", "/api/v1/calendars", "The working days by which deadlines are counted"),
    (
        Operation::SetCalendar,
        "PUT",
        "/api/v1/calendars/{country}",
        "Write the working days of a country anew",
    ),
    (
        Operation::ListSubmissions,
        "GET",
        "/api/v1/submissions",
        "The bundles in vetting that the person may see",
    ),
    (Operation::SubmitBundle, "POST", "/api/v1/submissions", "Hand in a bundle that its author has signed"),
    (
        Operation::ShowSubmission,
        "GET",
        "/api/v1/submissions/{number}",
        "A bundle in vetting, with what was found in it",
    ),
    (
        Operation::TakeVettingStep,
        "POST",
        "/api/v1/submissions/{number}/steps",
        "Approve, refuse, take back or revoke a bundle",
    ),
    (
        Operation::DownloadSubmitted,
        "GET",
        "/api/v1/submissions/{number}/submitted",
        "The bundle as it was handed in",
    ),
    (
        Operation::DownloadVetted,
        "GET",
        "/api/v1/submissions/{number}/vetted",
        "The bundle with the operator's signature",
    ),
    (
        Operation::ListOwnSystems,
        "GET",
        "/api/v1/systems",
        "The institution's systems, with their services and drafts",
    ),
    (
        Operation::DescribeSystem,
        "PUT",
        "/api/v1/systems/{instance}/{class}/{member}/{subsystem}",
        "Describe an information system, or describe it anew",
    ),
    (
        Operation::ShowOwnService,
        "GET",
        "/api/v1/services/{instance}/{class}/{member}/{subsystem}/{service}",
        "A service with its draft, and what keeps that from being published",
    ),
    (
        Operation::DraftService,
        "PUT",
        "/api/v1/services/{instance}/{class}/{member}/{subsystem}/{service}",
        "Keep a description and its contract as the draft of a service",
    ),
    (
        Operation::PublishService,
        "POST",
        "/api/v1/services/{instance}/{class}/{member}/{subsystem}/{service}/editions",
        "Let the draft of a service count",
    ),
    (
        Operation::ConfirmService,
        "POST",
        "/api/v1/services/{instance}/{class}/{member}/{subsystem}/{service}/confirmation",
        "Say that all of the edition that counts is still so",
    ),
    (
        Operation::WithdrawService,
        "DELETE",
        "/api/v1/services/{instance}/{class}/{member}/{subsystem}/{service}",
        "Take a service out of the catalog",
    ),
    (
        Operation::ListAccesses,
        "GET",
        "/api/v1/accesses",
        "Requests for access by the institution or to its services",
    ),
    (Operation::AskAccess, "POST", "/api/v1/accesses", "Ask a provider for access to a service"),
    (
        Operation::DecideAccess,
        "POST",
        "/api/v1/accesses/{number}/decision",
        "Grant or refuse a request for access, or take a grant back",
    ),
    (Operation::ListLetters, "GET", "/api/v1/letters", "The letters that are not sent, the newest 200"),
    (Operation::ListPeople, "GET", "/api/v1/people", "Who works with this server"),
    (
        Operation::InvitePerson,
        "POST",
        "/api/v1/people",
        "Invite somebody; the answer has the token to accept with",
    ),
    (Operation::DismissPerson, "DELETE", "/api/v1/people/{name}", "Let somebody in no longer"),
    (
        Operation::ShowAudit,
        "GET",
        "/api/v1/audit",
        "Entries of the audit log, newest first, and where older ones begin",
    ),
];

pub(crate) async fn answer(
    desk: &Desk,
    asked: &Asked,
    received: Result<Received, Problem>,
) -> Result<Reply, Problem> {
    let _received = received?;
    let (operation, parameter) = find(&asked.method, &asked.path)?;
    if let Some(reply) = public_api::answer(desk, asked, operation, parameter).await? {
        return Ok(reply);
    }
    let person = &bearer(desk, asked).await?;
    let service = || parameter.parse::<ServiceId>().map_err(|_| Problem::NoSuchPage);
    let number = || parameter.parse::<u64>().map_err(|_| Problem::NoSuchPage);
    let (status, answer) = match operation {
        Operation::DescribeApi
        | Operation::SearchCatalog
        | Operation::ListCatalogMembers
        | Operation::ShowCatalogMember
        | Operation::ShowCatalogService
        | Operation::DownloadContract => return Err(Problem::Internal),
        Operation::ShowMyself => (StatusCode::OK, tell(person)),
        Operation::SetMail => (StatusCode::OK, tell(&desk.set_mail(person, read::<MailWish>(asked)?).await?)),
        Operation::ListProfiles => (StatusCode::OK, json!({ "profiles": Profile::all() })),
        Operation::ListProcedures => {
            let cases = desk.procedures(person).await?;
            let told = cases.iter().map(|case| {
                let (number, procedure) = (case.number, &case.procedure);
                json!({ "number": number, "member": case.member, "stage": procedure.stage(), "turn": procedure.turn() })
            });
            (StatusCode::OK, json!({ "procedures": told.collect::<Vec<_>>() }))
        }
        Operation::BeginProcedure => {
            let beginning: Beginning = read(asked)?;
            (StatusCode::CREATED, json!(desk.begin(person, &beginning).await?))
        }
        Operation::ShowProcedure => (StatusCode::OK, json!(desk.procedure(person, number()?).await?)),
        Operation::TakeStep => {
            let step: Step = read(asked)?;
            (StatusCode::OK, json!(desk.step(person, number()?, step).await?))
        }
        Operation::Attach => {
            let title = parameter_of_query(&asked.query, "title");
            (StatusCode::CREATED, json!(desk.attach(person, number()?, &title, asked.body.clone()).await?))
        }
        Operation::DownloadAttachment => {
            let (number, file) = parameter.split_once("/attachments/").ok_or(Problem::NoSuchPage)?;
            let number = number.parse().map_err(|_| Problem::NoSuchPage)?;
            return Ok(Reply::download(desk.attachment(person, number, file).await?));
        }
        Operation::AttachSignedCopy => {
            let application = parameter_of_query(&asked.query, "application");
            let view = desk.attach_signed_copy(person, number()?, &application, asked.body.clone()).await?;
            (StatusCode::OK, json!(view))
        }
        Operation::DownloadSignedCopy => {
            return Ok(Reply::download(desk.signed_copy(person, number()?).await?));
        }
        Operation::ListCalendars => {
            let calendars = desk.calendars(person).await?;
            (StatusCode::OK, json!({ "calendars": calendars.iter().map(tell_calendar).collect::<Vec<_>>() }))
        }
        Operation::SetCalendar => {
            let draft: CalendarDraft = read(asked)?;
            if draft.tables.country != parameter {
                return Err(Problem::Malformed { reason: "the path names another country".to_owned() });
            }
            (StatusCode::OK, tell_calendar(&desk.set_calendar(person, &draft).await?))
        }
        Operation::ListSubmissions => {
            let submissions = desk.submissions(person).await?;
            let told = submissions.iter().map(|one| {
                json!({ "number": one.number, "plugin": one.plugin, "version": one.version, "stage": one.stage() })
            });
            (StatusCode::OK, json!({ "submissions": told.collect::<Vec<_>>() }))
        }
        Operation::SubmitBundle => {
            asked.check_type(MIMETYPE)?;
            (StatusCode::CREATED, json!(desk.submit(person, asked.body.clone()).await?))
        }
        Operation::ShowSubmission => (StatusCode::OK, json!(desk.submission(person, number()?).await?)),
        Operation::TakeVettingStep => {
            let step: VettingStep = read(asked)?;
            (StatusCode::OK, json!(desk.vet(person, number()?, step).await?))
        }
        Operation::DownloadSubmitted => {
            return Ok(Reply::download(desk.submitted_file(person, number()?).await?));
        }
        Operation::DownloadVetted => return Ok(Reply::download(desk.vetted_file(person, number()?).await?)),
        Operation::ListOwnSystems => (StatusCode::OK, json!({ "systems": desk.own_systems(person).await? })),
        Operation::DescribeSystem => {
            let system = parameter.parse().map_err(|_| Problem::NoSuchPage)?;
            desk.describe_system(person, &system, read(asked)?).await?;
            (StatusCode::OK, json!({}))
        }
        Operation::ShowOwnService => (StatusCode::OK, json!(desk.own_service(person, &service()?).await?)),
        Operation::DraftService => {
            let draft: Draft = read(asked)?;
            if draft.description.service != service()? {
                return Err(Problem::Malformed { reason: "the path names another service".to_owned() });
            }
            desk.draft(person, draft).await?;
            (StatusCode::OK, json!({}))
        }
        Operation::PublishService => {
            let edition = desk.publish(person, &service()?, &read(asked)?).await?;
            (StatusCode::CREATED, json!({ "edition": edition }))
        }
        Operation::ConfirmService => {
            desk.confirm(person, &service()?, &read(asked)?).await?;
            (StatusCode::OK, json!({}))
        }
        Operation::WithdrawService => {
            desk.withdraw(person, &service()?).await?;
            (StatusCode::OK, json!({}))
        }
        Operation::ListAccesses => (StatusCode::OK, json!({ "accesses": desk.accesses(person).await? })),
        Operation::AskAccess => {
            let request: AccessRequest = read(asked)?;
            (StatusCode::CREATED, json!({ "number": desk.ask_access(person, &request).await? }))
        }
        Operation::DecideAccess => {
            desk.decide_access(person, number()?, &read(asked)?).await?;
            (StatusCode::OK, json!({}))
        }
        Operation::ListLetters => (StatusCode::OK, json!({ "letters": desk.letters(person).await? })),
        Operation::ListPeople => {
            let people = desk.people(person).await?;
            (StatusCode::OK, json!({ "people": people.iter().map(tell).collect::<Vec<_>>() }))
        }
        Operation::InvitePerson => {
            let invitation: Invitation = read(asked)?;
            let token = desk.invite(person, invitation).await?;
            (StatusCode::CREATED, json!({ "invitation": token.expose() }))
        }
        Operation::DismissPerson => {
            desk.dismiss(person, parameter).await?;
            (StatusCode::OK, json!({}))
        }
        Operation::ShowAudit => {
            let page = desk.audit(person, &AuditQuestion::read(&asked.query)?).await?;
            (StatusCode::OK, json!({ "entries": page.entries, "next": page.next }))
        }
    };
    Ok(Reply::json(status, &answer))
}

/// The operation at a path, and what stands there for its parameter.
fn find<'a>(method: &Method, path: &'a str) -> Result<(Operation, &'a str), Problem> {
    let here: Vec<_> = ROUTES
        .iter()
        .filter_map(|(operation, method, pattern, _)| Some((operation, method, parameter(pattern, path)?)))
        .collect();
    if here.is_empty() {
        return Err(Problem::NoSuchPage);
    }
    let allowed = || here.iter().map(|(_, method, _)| **method).collect::<Vec<_>>().join(", ");
    let found = here.iter().find(|(_, one, _)| **one == method.as_str());
    let (operation, _, parameter) = found.ok_or_else(|| Problem::Method { allowed: allowed() })?;
    Ok((**operation, parameter))
}

/// What stands for the parameter of `pattern`, or for several with the slashes between them, if `path` is of that
/// pattern; nothing if it has none.
fn parameter<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let (names, parts) = (pattern.split('/'), path.split('/'));
    let fits = |(name, part): (&str, &str)| match name.starts_with('{') {
        true => !part.is_empty(),
        false => name == part,
    };
    if names.clone().count() != parts.clone().count() || !names.zip(parts).all(fits) {
        return None;
    }
    let Some((before, rest)) = pattern.split_once('{') else { return Some("") };
    let after = rest.rsplit_once('}').map_or("", |(_, after)| after);
    path.get(before.len()..path.len() - after.len())
}

pub(crate) async fn bearer(desk: &Desk, asked: &Asked) -> Result<Person, Problem> {
    let token = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or(Problem::NotSignedIn)?;
    desk.central.token_holder(token).await?.ok_or(Problem::NotSignedIn)
}

fn parameter_of_query(query: &str, name: &str) -> String {
    let given = form_urlencoded::parse(query.as_bytes()).find(|(one, _)| one == name);
    given.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn read<T: DeserializeOwned>(asked: &Asked) -> Result<T, Problem> {
    asked.check_type("application/json")?;
    serde_json::from_slice(&asked.body).map_err(|error| Problem::Malformed {
        reason: error.to_string().chars().take(REASON_CHARS_MAX).collect(),
    })
}

fn tell_calendar(calendar: &Calendar) -> serde_json::Value {
    json!({ "tables": calendar.tables(), "sha256": calendar.digest() })
}

fn tell(person: &Person) -> serde_json::Value {
    json!({
        "name": person.name, "full_name": person.full_name, "roles": person.roles, "member": person.member,
        "active": person.active, "until": person.until, "has_password": person.has_password(), "has_openid": person.has_openid(),
        "mail": person.mail, "language": person.language,
    })
}
