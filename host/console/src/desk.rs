use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuk_central::joining::{
    Act, Application, Attachment, Calendar, CalendarTables, Deadline, Event, Gate, Ground, Party,
    Problem as FieldProblem, SignedCopy, Stage, Turn,
};
use uuk_central::{
    Actor, AuditPage, Calendars, Case, Central, CentralError, CertificateFinding, Edition, Flaw, Invited,
    MailAddress, Person, PublishingError, Registry, Role, Step, StepName, Survey, Texts, UnsentLetter,
};
use uuk_identifiers::{MemberId, ServiceId, SubsystemId};
use uuk_pki::Sha256;
use uuk_process::Secret;

use crate::authorize::{Action, may};
use crate::catalog_desk::as_texts;
use crate::config::ContactConfig;
use crate::download::Download;
use crate::openid::OpenId;
use crate::problem::Problem;

/// Letters that are shown at once.
const LETTERS_MAX: u32 = 200;
/// Of one member, while somebody waits for the page.
const DRAFTS_LOOKED_AT_MAX: usize = 50;

/// Where people do what they may do, and nothing else. Pages and API come here.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) central: Arc<Central>,
    /// With which people may sign in.
    pub(crate) openid: Option<Arc<OpenId>>,
    /// How the operator's people are reached.
    pub(crate) contact: Option<Arc<ContactConfig>>,
    /// Bundles that may be on their way here at once: each is held in memory.
    pub(crate) uploads: Arc<Semaphore>,
    /// Likewise, away from here.
    pub(crate) downloads: Arc<Semaphore>,
}

/// What begins a procedure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Beginning {
    /// The rules: `tunduk-2018` or `uz-iip`.
    pub(crate) profile: String,
}

/// Whom to invite.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invitation {
    /// By which they will sign in: small letters, digits and hyphens.
    name: String,
    /// As it stands in documents.
    full_name: String,
    /// At least one: `operator`, `reviewer`, `auditor`; or at a member `head`, `specialist`, `catalog_editor`.
    #[schemars(with = "Vec<String>")]
    roles: Vec<Role>,
    /// For whom they act, unless for the operator: `KG/GOV/70000002`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    member: Option<MemberId>,
    /// Where letters about their work go, if they want any.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    mail: Option<MailAddress>,
    /// In which language: `ky`, `ru`, `uz` or `en`.
    #[serde(default)]
    language: Option<String>,
    /// The last day on which they may sign in, by UTC, if their designation ends: `2027-06-30`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    until: Option<Date>,
}

/// Where a person's letters go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MailWish {
    /// None, if no letters are wanted.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    mail: Option<MailAddress>,
    /// In which language: `ky`, `ru`, `uz` or `en`.
    #[serde(default)]
    language: Option<String>,
}

/// A country's working days, written anew.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CalendarDraft {
    pub(crate) tables: CalendarTables,
    /// The `sha256` that the calendar had when it was read; if it has another one now, the draft is refused. Without this,
    /// it replaces whatever there is.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) replaces: Option<Sha256>,
}

/// Which entries of the audit log somebody asks for.
#[derive(Debug, Default)]
pub(crate) struct AuditQuestion {
    /// The number that theirs are below.
    pub(crate) before: Option<i64>,
    /// What is somewhere in them.
    pub(crate) contains: String,
}

/// A procedure as a person sees it.
#[derive(Debug, Serialize)]
pub(crate) struct CaseView {
    pub(crate) number: u64,
    pub(crate) member: MemberId,
    pub(crate) profile: &'static str,
    pub(crate) stage: Stage,
    pub(crate) turn: Turn,
    pub(crate) deadline: Option<Deadline>,
    /// What this person can do now.
    pub(crate) steps: Vec<StepName>,
    pub(crate) application: Application,
    /// By which a signature, and the submission, names exactly this application.
    pub(crate) application_sha256: Sha256,
    /// The files that belong to it.
    pub(crate) attachments: Vec<Attachment>,
    /// The printed application with its signature, if it was handed in.
    pub(crate) signed_copy: Option<SignedCopy>,
    /// What is missing or wrong before it can be submitted.
    pub(crate) problems: Vec<FieldProblem>,
    pub(crate) agreement: Option<AgreementView>,
    pub(crate) instructions: Option<InstructionsView>,
    /// Of what instructions are drafted, beside the application; while there are none.
    pub(crate) instruction_facts: Option<InstructionFacts>,
    pub(crate) certificate_findings: Vec<CertificateFinding>,
    /// Which of the member's information systems answer through the exchange, while the connection is to be confirmed.
    pub(crate) connections: Vec<ConnectionTest>,
    /// What speaks against the applicant as far as this program sees, for whoever decides now.
    pub(crate) findings: Vec<Finding>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) history: Vec<EventView>,
}

/// Whether an information system answered the operator's security server.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectionTest {
    pub(crate) system: SubsystemId,
    pub(crate) at: Timestamp,
    /// Why it did not, if it did not.
    pub(crate) silence: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct AgreementView {
    pub(crate) sha256: Sha256,
    pub(crate) text: String,
    pub(crate) effective: jiff::civil::Date,
    pub(crate) expires: Option<jiff::civil::Date>,
    pub(crate) signatures: Vec<(Party, String)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct InstructionsView {
    pub(crate) sha256: Sha256,
    pub(crate) text: String,
    pub(crate) consents: Vec<Party>,
}

/// What speaks against an applicant.
#[derive(Debug, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub(crate) enum Finding {
    /// Who has submitted the application is nobody whom it gives authority that is in force.
    Submitter { person: String },
    /// The draft of a service is not fit to be published.
    Draft {
        service: ServiceId,
        #[serde(serialize_with = "as_texts")]
        flaws: Vec<Flaw>,
    },
}

impl Finding {
    /// On which of the law's grounds it could be refused for it.
    pub(crate) fn ground(&self) -> Ground {
        match self {
            Self::Submitter { .. } => Ground::UnauthorisedPerson,
            Self::Draft { .. } => Ground::CatalogData,
        }
    }
}

/// What the registry and the catalog have of an instance, and of the member that joins it.
#[derive(Debug, Serialize)]
pub(crate) struct InstructionFacts {
    pub(crate) instance: String,
    /// Where the configuration is downloaded.
    pub(crate) sources: Vec<String>,
    /// Who may issue certificates.
    pub(crate) certification: Vec<String>,
    /// Who may stamp messages, and where.
    pub(crate) time_stamping: Vec<(String, String)>,
    /// What the member offers, as far as it has described it.
    pub(crate) services: Vec<OfferedService>,
}

#[derive(Debug, Serialize)]
pub(crate) struct OfferedService {
    pub(crate) service: ServiceId,
    pub(crate) title: Texts,
    pub(crate) contract: Sha256,
}

/// What happened.
#[derive(Debug, Serialize)]
pub(crate) struct EventView {
    pub(crate) at: Timestamp,
    pub(crate) party: Party,
    pub(crate) person: String,
    pub(crate) act: &'static str,
    pub(crate) explanation: Option<String>,
    pub(crate) stage: Stage,
}

impl AuditQuestion {
    /// More is not looked for.
    pub(crate) const CHARS_MAX: usize = 200;

    /// Reads the query of an address.
    pub(crate) fn read(query: &str) -> Result<Self, Problem> {
        let mut question = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "before" => {
                    let number = value.parse().map_err(|_| Problem::Malformed {
                        reason: "`before` is no number of an entry".to_owned(),
                    })?;
                    question.before = Some(number);
                }
                "contains" => question.contains = value.trim().chars().take(Self::CHARS_MAX).collect(),
                _ => {}
            }
        }
        Ok(question)
    }

    /// As the query of an address.
    pub(crate) fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(before) = self.before {
            query.append_pair("before", &before.to_string());
        }
        if !self.contains.is_empty() {
            query.append_pair("contains", &self.contains);
        }
        query.finish()
    }
}

impl Desk {
    pub(crate) async fn procedures(&self, person: &Person) -> Result<Vec<Case>, Problem> {
        self.check(person, Action::SeeProcedures, "procedures").await?;
        let mut cases = self.central.joinings().await?;
        cases.retain(|case| person.member.as_ref().is_none_or(|member| *member == case.member));
        Ok(cases)
    }

    pub(crate) async fn procedure(&self, person: &Person, number: u64) -> Result<CaseView, Problem> {
        let case = self.case(person, Action::SeeProcedures, number).await?;
        self.view(person, case).await
    }

    pub(crate) async fn begin(&self, person: &Person, beginning: &Beginning) -> Result<CaseView, Problem> {
        let actor = self.check(person, Action::BeginProcedure, "procedures").await?;
        let member = person.member.as_ref().ok_or(Problem::Denied)?;
        let case = self.central.begin_joining(&actor, member, &beginning.profile).await?;
        self.view(person, case).await
    }

    pub(crate) async fn step(&self, person: &Person, number: u64, step: Step) -> Result<CaseView, Problem> {
        let name = StepName::from(&step);
        self.case(person, Action::Step(name), number).await?;
        let doer = (party(person), person.full_name.as_str());
        let case = self.central.advance(&actor(person)?, number, doer, step).await?;
        self.view(person, case).await
    }

    /// Adds a file to the application.
    pub(crate) async fn attach(
        &self,
        person: &Person,
        number: u64,
        title: &str,
        file: Bytes,
    ) -> Result<CaseView, Problem> {
        self.case(person, Action::Attach, number).await?;
        let doer = (party(person), person.full_name.as_str());
        let case = self.central.attach(&actor(person)?, number, doer, title, file).await?;
        self.view(person, case).await
    }

    /// A file that belongs to the application, by its digest.
    pub(crate) async fn attachment(
        &self,
        person: &Person,
        number: u64,
        file: &str,
    ) -> Result<Download, Problem> {
        let case = self.case(person, Action::SeeProcedures, number).await?;
        let mut attachments = case.procedure.attachments().iter().enumerate();
        let found = attachments.find(|(_, attachment)| attachment.file.to_string() == file);
        let (index, attachment) = found.ok_or(Problem::NoSuchPage)?;
        let name = format!("application-{number}-{}.{}", index + 1, attachment.kind.extension());
        self.hand_out(name, attachment.kind.media_type(), &attachment.file).await
    }

    /// Adds the printed application with its signature; `application` is the digest that stands on the paper.
    pub(crate) async fn attach_signed_copy(
        &self,
        person: &Person,
        number: u64,
        application: &str,
        file: Bytes,
    ) -> Result<CaseView, Problem> {
        self.case(person, Action::AttachSignedCopy, number).await?;
        let application = application.parse().map_err(|_| Problem::Malformed {
            reason: "`application` is no digest of an application".to_owned(),
        })?;
        let doer = (party(person), person.full_name.as_str());
        let case = self.central.attach_signed_copy(&actor(person)?, number, doer, application, file).await?;
        self.view(person, case).await
    }

    /// The printed application with its signature.
    pub(crate) async fn signed_copy(&self, person: &Person, number: u64) -> Result<Download, Problem> {
        let case = self.case(person, Action::SeeProcedures, number).await?;
        let copy = case.procedure.signed_copy().ok_or(Problem::NoSuchPage)?;
        let name = format!("application-{number}.{}", copy.kind.extension());
        self.hand_out(name, copy.kind.media_type(), &copy.file).await
    }

    pub(crate) async fn calendars(&self, person: &Person) -> Result<Calendars, Problem> {
        self.check(person, Action::SeeProcedures, "calendars").await?;
        Ok(self.central.calendars().await?)
    }

    pub(crate) async fn set_calendar(
        &self,
        person: &Person,
        draft: &CalendarDraft,
    ) -> Result<Calendar, Problem> {
        let object = format!("calendar {}", draft.tables.country);
        let actor = self.check(person, Action::EditCalendar, &object).await?;
        Ok(self.central.set_calendar(&actor, &draft.tables, draft.replaces.as_ref()).await?)
    }

    pub(crate) async fn people(&self, person: &Person) -> Result<Vec<Person>, Problem> {
        self.check(person, Action::SeePeople, "people").await?;
        Ok(self.central.people().await?)
    }

    pub(crate) async fn invite(
        &self,
        person: &Person,
        invitation: Invitation,
    ) -> Result<Secret<String>, Problem> {
        let actor = self.check(person, Action::Invite, "people").await?;
        let Invitation { name, full_name, roles, member, mail, language, until } = invitation;
        let roles = roles.into_iter().collect();
        let invited = Invited { name, full_name, roles, member, mail, language, until };
        Ok(self.central.invite(&actor, &invited).await?)
    }

    pub(crate) async fn dismiss(&self, person: &Person, name: &str) -> Result<(), Problem> {
        let actor = self.check(person, Action::Dismiss, "people").await?;
        Ok(self.central.dismiss(&actor, name).await?)
    }

    /// Everybody decides where their own letters go.
    pub(crate) async fn set_mail(&self, person: &Person, wish: MailWish) -> Result<Person, Problem> {
        let MailWish { mail, language } = wish;
        Ok(self.central.set_mail(&actor(person)?, &person.name, mail, language).await?)
    }

    /// The letters that are not sent, newest first.
    pub(crate) async fn letters(&self, person: &Person) -> Result<Vec<UnsentLetter>, Problem> {
        self.check(person, Action::SeePeople, "letters").await?;
        Ok(self.central.unsent_letters(LETTERS_MAX).await?)
    }

    /// Entries of the audit log, newest first.
    pub(crate) async fn audit(
        &self,
        person: &Person,
        question: &AuditQuestion,
    ) -> Result<AuditPage, Problem> {
        self.check(person, Action::SeeAudit, "audit").await?;
        Ok(self.central.audit_before(question.before, &question.contains).await?)
    }

    /// A procedure on which a person may act.
    async fn case(&self, person: &Person, action: Action, number: u64) -> Result<Case, Problem> {
        let object = format!("procedure {number}");
        self.check(person, action, &object).await?;
        let case = self.central.joining(number).await?;
        match &person.member {
            Some(member) if *member != case.member => Err(self.denied(person, action, &object).await?),
            _ => Ok(case),
        }
    }

    pub(crate) async fn check(
        &self,
        person: &Person,
        action: Action,
        object: &str,
    ) -> Result<Actor, Problem> {
        match may(person, action) {
            true => actor(person),
            false => Err(self.denied(person, action, object).await?),
        }
    }

    /// Whoever tries what they may not do stands in the audit log.
    pub(crate) async fn denied(
        &self,
        person: &Person,
        action: Action,
        object: &str,
    ) -> Result<Problem, Problem> {
        self.central.note_denied(&actor(person)?, &action.to_string(), object).await?;
        Ok(Problem::Denied)
    }

    /// The drafts of a member's services that are not fit to be published.
    async fn unfit_drafts(&self, member: &MemberId) -> Result<Vec<Finding>, Problem> {
        let registry = self.central.snapshot().await?.registry;
        let services = registry.catalog().services.iter();
        let own = services.filter(|(id, service)| id.provider.member == *member && service.draft.is_some());
        let mut findings = Vec::new();
        for (service, _) in own.take(DRAFTS_LOOKED_AT_MAX) {
            match self.central.review_draft(service).await {
                Ok((_, flaws, _)) if flaws.is_empty() => {}
                Ok((_, flaws, _)) => findings.push(Finding::Draft { service: service.clone(), flaws }),
                // Published or withdrawn in between.
                Err(PublishingError::Central(CentralError::Refused(_))) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(findings)
    }

    async fn connections(&self, member: &MemberId) -> Result<Vec<ConnectionTest>, Problem> {
        let surveys =
            self.central.surveys().await?.into_iter().filter(|survey| survey.system.member == *member);
        let test = |Survey { system, at, silence, .. }| ConnectionTest { system, at, silence };
        Ok(surveys.map(test).collect())
    }

    async fn view(&self, person: &Person, case: Case) -> Result<CaseView, Problem> {
        let (calendars, now) = (self.central.calendars().await?, self.central.clock().now());
        let (profile, calendar) = (case.profile()?, case.calendar(&calendars)?);
        let procedure = &case.procedure;
        let application = procedure.application().clone();
        let is_draft = matches!(procedure.stage(), Stage::Draft | Stage::Returned);
        let problems = match is_draft {
            true => procedure.problems(profile, calendar.today(now)),
            false => Vec::new(),
        };
        let agreement = match procedure.agreement() {
            None => None,
            Some(agreement) => Some(AgreementView {
                sha256: agreement.text,
                text: self.central.text(&agreement.text).await?.unwrap_or_default(),
                effective: agreement.effective,
                expires: agreement.expires,
                signatures: procedure.signatures().clone().into_iter().collect(),
            }),
        };
        let instructions = match procedure.instructions().text {
            None => None,
            Some(sha256) => Some(InstructionsView {
                sha256,
                text: self.central.text(&sha256).await?.unwrap_or_default(),
                consents: procedure.instructions().consents.iter().copied().collect(),
            }),
        };
        let mut steps = case.open_steps(party(person));
        steps.retain(|step| may(person, Action::Step(*step)));
        let certificate_findings = match procedure.stage() {
            Stage::CertificatesSubmitted => self.central.certificate_findings(&case).await?,
            _ => Vec::new(),
        };
        let connections = match procedure.stage() {
            Stage::CertificatesRegistered => self.connections(&case.member).await?,
            _ => Vec::new(),
        };
        let is_drafted = steps.contains(&StepName::Propose) && instructions.is_none();
        let instruction_facts = match is_drafted {
            true => Some(InstructionFacts::of(&self.central.snapshot().await?.registry, &case.member)),
            false => None,
        };
        let today = calendar.today(now);
        let decides = |step| steps.contains(&step);
        let mut findings = Vec::new();
        if decides(StepName::Approve) {
            let submitter = procedure.unauthorised_submitter(today);
            findings.extend(submitter.map(|person| Finding::Submitter { person: person.to_owned() }));
        }
        if decides(StepName::Approve) || decides(StepName::ConfirmCatalog) {
            findings.extend(self.unfit_drafts(&case.member).await?);
        }
        Ok(CaseView {
            findings,
            instruction_facts,
            number: case.number,
            member: case.member.clone(),
            profile: &profile.id,
            stage: procedure.stage(),
            turn: procedure.turn(),
            deadline: procedure.deadline(profile, calendar, now),
            steps,
            application_sha256: procedure.digest().map_err(|_| Problem::Internal)?,
            application,
            attachments: procedure.attachments().to_vec(),
            signed_copy: procedure.signed_copy().cloned(),
            problems,
            agreement,
            instructions,
            certificate_findings,
            connections,
            gates: procedure.gates(),
            history: procedure.history().iter().map(EventView::from).collect(),
        })
    }
}

impl InstructionFacts {
    fn of(registry: &Registry, member: &MemberId) -> Self {
        let services = registry.catalog().services.iter().filter(|(id, _)| id.provider.member == *member);
        let offered = services.filter_map(|(id, service)| {
            let Edition { description, contract } = service.current()?;
            let title = description.title.clone();
            Some(OfferedService { service: id.clone(), title, contract: *contract })
        });
        let stampers =
            registry.time_stamping().iter().map(|(name, stamper)| (name.clone(), stamper.url.clone()));
        Self {
            instance: registry.settings().instance.clone(),
            sources: registry.settings().sources.clone(),
            certification: registry.certification().keys().cloned().collect(),
            time_stamping: stampers.collect(),
            services: offered.collect(),
        }
    }
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        let explanation = match &event.act {
            Act::Ask { question: explanation }
            | Act::Answer { answer: explanation }
            | Act::Return { explanation }
            | Act::Terminate { explanation }
            | Act::Refuse { explanation, .. }
            | Act::RejectCertificates { explanation } => Some(explanation.clone()),
            _ => None,
        };
        let Event { at, party, person, act, stage } = event;
        Self { at: *at, party: *party, person: person.clone(), act: act.into(), explanation, stage: *stage }
    }
}

/// For whom somebody acts.
pub(crate) fn party(person: &Person) -> Party {
    if person.member.is_some() { Party::Applicant } else { Party::Operator }
}

pub(crate) fn actor(person: &Person) -> Result<Actor, Problem> {
    person.actor().map_err(|_| Problem::Internal)
}
