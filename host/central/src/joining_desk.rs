//! Where procedures of joining are kept, and what people hand in becomes an act of one.

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuk_identifiers::{IdentifierError, MemberId};
use uuk_pki::{Certificate, CertificateError, CertificateUse, Der, Sha256};
use uuk_process::ErrorChain;

use crate::audit::Actor;
use crate::calendars::Calendars;
use crate::central::{Central, CentralError, Recorded};
use crate::joining::{
    Act, Agreement, Application, Attachment, Calendar, Ground, Instructions, JoiningRefusal, Party,
    Procedure, Profile, Review, SignedCopy, Stage,
};
use crate::letters::{Notice, Readers, Telling};
use crate::registry::Registry;
use crate::store::FileEdit;

/// An agreement or instructions of more are handed over otherwise.
const TEXT_BYTES_MAX: usize = 100_000;
const CERTIFICATES_MAX: usize = 20;

/// A procedure of joining as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Case {
    /// By which everybody names it.
    pub number: u64,
    /// Who wants to join, by the name it will have.
    pub member: MemberId,
    /// By which rules, to the end.
    profile: String,
    /// How far it is.
    pub procedure: Procedure,
}

impl Recorded for Case {
    const KIND: &'static str = "procedure";

    fn told(&self) -> Value {
        let content = serde_json::to_vec(&self.procedure).unwrap_or_default();
        json!({ "member": self.member, "stage": self.procedure.stage(), "sha256": Sha256::of(&content) })
    }

    /// Whoever did not act last learns where that led.
    fn tellings(&self) -> Vec<Telling> {
        let history = self.procedure.history();
        let (Some(last), events) = (history.last(), history.len()) else { return Vec::new() };
        let (procedure, member) = (self.number, self.member.clone());
        let other = match last.party {
            Party::Applicant => Party::Operator,
            Party::Operator => Party::Applicant,
        };
        // A draft is its writer's own affair.
        if matches!(last.act, Act::Write(_) | Act::Attach(_) | Act::Detach { .. } | Act::AttachSignedCopy(_))
        {
            return Vec::new();
        }
        let readers = Readers::of(other, &member);
        let (stage, turn) = (self.procedure.stage(), self.procedure.turn());
        let name = format!("procedure {procedure} event {events}");
        let notice = match last.act {
            Act::Ask { .. } => Notice::Asked { procedure, member },
            Act::Answer { .. } => Notice::Answered { procedure, member },
            _ => Notice::Stage { procedure, member, stage, turn },
        };
        vec![Telling { name, notice, readers }]
    }
}

impl Case {
    /// The rules by which it goes.
    ///
    /// # Errors
    /// [`JoiningError::Profile`] if this program no longer has them.
    pub fn profile(&self) -> Result<&'static Profile, JoiningError> {
        Profile::of(&self.profile).ok_or(JoiningError::Profile)
    }

    /// The working days by which it goes.
    ///
    /// # Errors
    /// [`JoiningError::Profile`] if this program no longer has them.
    pub fn calendar<'a>(&self, calendars: &'a Calendars) -> Result<&'a Calendar, JoiningError> {
        calendars.of(&self.profile()?.calendar).ok_or(JoiningError::Profile)
    }

    /// What a party can do next, as far as the stage decides it.
    pub fn open_steps(&self, party: Party) -> Vec<StepName> {
        use StepName as Name;
        let procedure = &self.procedure;
        let mut steps = match (procedure.stage(), party) {
            (Stage::Draft | Stage::Returned, Party::Applicant) => {
                let mut steps = vec![Name::Write, Name::Submit];
                if !procedure.attachments().is_empty() {
                    steps.push(Name::Detach);
                }
                steps
            }
            (Stage::Submitted, Party::Operator) => vec![Name::Review],
            (Stage::InReview, Party::Operator) => vec![Name::Approve, Name::Return, Name::Refuse],
            (Stage::Approved, _) if !procedure.signatures().contains_key(&party) => vec![Name::Sign],
            (Stage::AgreementSigned, _) => match procedure.instructions() {
                Instructions { text: Some(_), consents } if !consents.contains(&party) => {
                    vec![Name::Consent, Name::Propose]
                }
                _ => vec![Name::Propose],
            },
            (Stage::InstructionsAgreed, Party::Applicant) => vec![Name::ReportHost],
            (Stage::HostReady, Party::Applicant) => vec![Name::ReportKeys],
            (Stage::KeysReady, Party::Applicant) => vec![Name::ReportRequests],
            (Stage::CertificatesRequested, Party::Applicant) => vec![Name::SubmitCertificates],
            (Stage::CertificatesSubmitted, Party::Operator) => {
                vec![Name::VerifyCertificates, Name::RejectCertificates]
            }
            (Stage::CertificatesVerified, Party::Operator) => vec![Name::RegisterCertificates],
            (Stage::CertificatesRegistered, Party::Operator) => vec![Name::ConfirmConnection],
            (Stage::Connected, Party::Operator) => vec![Name::ConfirmCatalog],
            _ => Vec::new(),
        };
        let stage = procedure.stage();
        match party {
            Party::Applicant if !stage.is_over() || stage == Stage::Ready => steps.push(Name::Ask),
            Party::Operator if procedure.has_open_question() => steps.push(Name::Answer),
            _ => {}
        }
        if stage.is_bound() {
            steps.push(Name::Terminate);
        }
        if party == Party::Applicant && !procedure.stage().is_over() {
            steps.push(Name::Withdraw);
        }
        steps
    }
}

/// What a person does in a procedure, with all that is handed in.
#[derive(
    Debug, Clone, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr, strum::EnumDiscriminants,
)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case")]
#[strum_discriminants(
    name(StepName),
    derive(Hash, PartialOrd, Ord, Serialize, strum::Display, strum::EnumString, strum::EnumIter),
    serde(rename_all = "snake_case"),
    strum(serialize_all = "snake_case"),
    doc = "The name of a step."
)]
#[expect(missing_docs, reason = "the steps are those of `Act`, and documented there")]
pub enum Step {
    /// Writes the application, or mends it.
    Write { application: Application },
    /// Removes the attachment of this digest.
    Detach {
        #[schemars(with = "String")]
        file: Sha256,
    },
    /// Hands in the application of exactly this digest, as printed and signed.
    Submit {
        #[schemars(with = "String")]
        application: Sha256,
    },
    /// Gives the application up.
    Withdraw,
    /// Asks the operator for help, with installation or anything else.
    Ask { question: String },
    /// Answers what the applicant has asked.
    Answer { answer: String },
    /// Takes the application up for review.
    Review,
    /// Hands the application back to be mended.
    Return { explanation: String },
    /// Accepts the applicant.
    Approve { review: Review },
    /// Refuses the applicant, on grounds of the law.
    Refuse {
        review: Review,
        #[serde(default)]
        grounds: BTreeSet<Ground>,
        explanation: String,
    },
    /// Signs the agreement, as the person who is signed in; the second party signs the same text and days.
    Sign {
        text: String,
        #[schemars(with = "String")]
        effective: Date,
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        expires: Option<Date>,
    },
    /// Ends the agreement, and says why and from when.
    Terminate { explanation: String },
    /// Proposes a text of the technical instructions.
    Propose { text: String },
    /// Approves the text of this digest, if it is the one proposed now.
    Consent {
        #[schemars(with = "String")]
        text: Sha256,
    },
    /// Reports that the server is fit, with what `uuk doctor` says.
    ReportHost { report: String },
    /// Reports that the keys are on their carrier.
    ReportKeys,
    /// Reports that certificates have been requested.
    ReportRequests,
    /// Hands in certificates, in PEM.
    SubmitCertificates { authentication: String, signing: Vec<String> },
    /// Confirms that the certificates fit; this program compares them.
    VerifyCertificates,
    /// Hands the certificates back.
    RejectCertificates { explanation: String },
    /// Confirms that the certificate of the server is registered; this program looks.
    RegisterCertificates,
    /// Confirms that a test call came through, by the digest of its record.
    ConfirmConnection {
        #[schemars(with = "String")]
        record: Sha256,
    },
    /// Confirms that the catalog is complete.
    ConfirmCatalog,
}

/// What speaks against a certificate that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFinding {
    /// Which.
    pub certificate: Sha256,
    /// What.
    pub finding: String,
}

/// Why a procedure is not begun, or does not go on.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "joining.")]
#[non_exhaustive]
pub enum JoiningError {
    /// The procedure does not allow it.
    #[error(transparent)]
    Refused(#[from] JoiningRefusal),
    /// There is none of that number.
    #[error("there is no such procedure")]
    Unknown,
    /// There are no such rules.
    #[error("there is no such profile of joining")]
    Profile,
    /// The name of a member is not one.
    #[error("this is no name of a member")]
    Member(#[from] IdentifierError),
    /// One at a time.
    #[error("{member} is joining already, by procedure {number}")]
    AlreadyBegun {
        /// Who.
        member: Box<MemberId>,
        /// By which.
        number: u64,
    },
    /// A text is missing or too long.
    #[error("a text has 1 to {TEXT_BYTES_MAX} bytes")]
    Text,
    /// What was handed in is no certificate in PEM.
    #[error("this is no certificate in PEM")]
    Certificate(#[from] CertificateError),
    /// More or less than one certificate where one belongs.
    #[error("one certificate belongs here")]
    OneCertificate,
    /// Security servers do not know it yet.
    #[error("no security server of {member} is registered with that certificate")]
    NotRegistered {
        /// Whose.
        member: Box<MemberId>,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Central(#[from] CentralError),
}

impl JoiningError {
    /// The stable code: of the cause, if there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Central(error) => error.code(),
            Self::Certificate(error) => error.code(),
            other => other.into(),
        }
    }
}

/// A text that was handed in, named by its digest.
#[derive(Debug, Serialize, Deserialize)]
struct Text(String);

impl Recorded for Text {
    const KIND: &'static str = "text";

    fn told(&self) -> Value {
        Value::Null
    }
}

impl Recorded for Der {
    const KIND: &'static str = "certificate";

    fn told(&self) -> Value {
        Value::Null
    }
}

impl Central {
    /// Begins a procedure for an institution that will be called `member`.
    ///
    /// # Errors
    /// [`JoiningError::Profile`], [`JoiningError::Member`], [`JoiningError::AlreadyBegun`], or if the database cannot be
    /// used.
    pub async fn begin_joining(
        &self,
        actor: &Actor,
        member: &MemberId,
        profile: &str,
    ) -> Result<Case, JoiningError> {
        let profile = Profile::of(profile).ok_or(JoiningError::Profile)?;
        let member = member.clone().checked()?;
        self.add_record(actor, "joining-begin", &[], |number, cases: Vec<Case>| {
            let is_open = |case: &&Case| case.member == member && !case.procedure.stage().is_over();
            if let Some(Case { number, .. }) = cases.iter().find(is_open) {
                return Err(JoiningError::AlreadyBegun { member: Box::new(member.clone()), number: *number });
            }
            let procedure = Procedure::new(Application::default());
            Ok(Case { number, member: member.clone(), profile: profile.id.clone(), procedure })
        })
        .await
    }

    /// All procedures, in the order in which they began.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn joinings(&self) -> Result<Vec<Case>, CentralError> {
        let mut cases: Vec<Case> = self.records().await?.into_iter().map(|(_, case)| case).collect();
        cases.sort_by_key(|case| case.number);
        Ok(cases)
    }

    /// A procedure.
    ///
    /// # Errors
    /// [`JoiningError::Unknown`], or if the database cannot be used.
    pub async fn joining(&self, number: u64) -> Result<Case, JoiningError> {
        self.record(&number.to_string()).await?.ok_or(JoiningError::Unknown)
    }

    /// A text that was handed in.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn text(&self, digest: &Sha256) -> Result<Option<String>, CentralError> {
        Ok(self.record::<Text>(&digest.to_string()).await?.map(|text| text.0))
    }

    /// Does what a person wants of a procedure, for a party. What is handed in is kept first: an act names it by its
    /// digest.
    ///
    /// # Errors
    /// [`JoiningError`]; the procedure is where it was.
    pub async fn advance(
        &self,
        actor: &Actor,
        number: u64,
        (party, person): (Party, &str),
        step: Step,
    ) -> Result<Case, JoiningError> {
        let name = format!("joining-{}", <&str>::from(&step).replace('_', "-"));
        let act = self.act_of(number, person, step).await?;
        self.act(actor, &name, number, (party, person), &act, &[]).await
    }

    /// Adds the application as it was printed, with its digest on it, and signed by hand.
    ///
    /// # Errors
    /// [`JoiningError`]; the procedure is where it was.
    pub async fn attach_signed_copy(
        &self,
        actor: &Actor,
        number: u64,
        doer: (Party, &str),
        application: Sha256,
        file: Bytes,
    ) -> Result<Case, JoiningError> {
        let copy = SignedCopy::of(application, &file)?;
        let files = [FileEdit::Keep(copy.file, file)];
        let act = Act::AttachSignedCopy(copy);
        self.act(actor, "joining-attach-signed-copy", number, doer, &act, &files).await
    }

    /// Adds a file to the application.
    ///
    /// # Errors
    /// [`JoiningError`]; the procedure is where it was.
    pub async fn attach(
        &self,
        actor: &Actor,
        number: u64,
        doer: (Party, &str),
        title: &str,
        file: Bytes,
    ) -> Result<Case, JoiningError> {
        let attachment = Attachment::of(title, &file)?;
        let files = [FileEdit::Keep(attachment.file, file)];
        self.act(actor, "joining-attach", number, doer, &Act::Attach(attachment), &files).await
    }

    async fn act(
        &self,
        actor: &Actor,
        name: &str,
        number: u64,
        doer: (Party, &str),
        act: &Act,
        files: &[FileEdit],
    ) -> Result<Case, JoiningError> {
        let (now, calendars) = (self.clock().now(), self.calendars().await?);
        self.change_record_and_files(actor, name, &number.to_string(), files, |case: Option<Case>| {
            let mut case = case.ok_or(JoiningError::Unknown)?;
            let (profile, calendar) = (case.profile()?, case.calendar(&calendars)?);
            case.procedure.act(doer, act.clone(), profile, calendar, now)?;
            Ok(case)
        })
        .await
    }

    /// What speaks against the certificates that were handed in, beside the application and what is registered.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn certificate_findings(&self, case: &Case) -> Result<Vec<CertificateFinding>, JoiningError> {
        let Some((authentication, signing)) = case.procedure.certificates() else { return Ok(Vec::new()) };
        let (registry, now) = (self.snapshot().await?.registry, self.clock().now());
        let mut findings = Vec::new();
        let uses = signing.iter().map(|digest| (digest, CertificateUse::Signing));
        for (digest, usage) in uses.chain([(&authentication, CertificateUse::Authentication)]) {
            let found = match self.record::<Der>(&digest.to_string()).await? {
                Some(der) => findings_of(&der, usage, &case.member, &registry, now),
                None => vec!["is not here".to_owned()],
            };
            findings.extend(
                found.into_iter().map(|finding| CertificateFinding { certificate: *digest, finding }),
            );
        }
        Ok(findings)
    }

    /// The act that a step comes to.
    async fn act_of(&self, number: u64, person: &str, step: Step) -> Result<Act, JoiningError> {
        Ok(match step {
            Step::Write { application } => Act::Write(application),
            Step::Detach { file } => Act::Detach { file },
            Step::Submit { application } => Act::Submit { application },
            Step::Withdraw => Act::Withdraw,
            Step::Ask { question } => Act::Ask { question },
            Step::Answer { answer } => Act::Answer { answer },
            Step::Review => Act::Review,
            Step::Return { explanation } => Act::Return { explanation },
            Step::Approve { review } => Act::Approve { review },
            Step::Refuse { review, grounds, explanation } => Act::Refuse { review, grounds, explanation },
            Step::Sign { text, effective, expires } => {
                let agreement = Agreement { text: self.keep_text(text).await?, effective, expires };
                Act::Sign { agreement, person: person.to_owned() }
            }
            Step::Terminate { explanation } => Act::Terminate { explanation },
            Step::Propose { text } => Act::Propose { text: self.keep_text(text).await? },
            Step::Consent { text } => Act::Consent { text },
            Step::ReportHost { report } => Act::ReportHost { report: self.keep_text(report).await? },
            Step::ReportKeys => Act::ReportKeys,
            Step::ReportRequests => Act::ReportRequests,
            Step::SubmitCertificates { authentication, signing } => {
                if signing.len() > CERTIFICATES_MAX {
                    return Err(JoiningError::Text);
                }
                let authentication = Some(self.keep_certificate(&authentication).await?);
                let mut digests = BTreeSet::new();
                for pem in &signing {
                    digests.insert(self.keep_certificate(pem).await?);
                }
                Act::SubmitCertificates { authentication, signing: digests }
            }
            Step::VerifyCertificates => {
                let findings = self.certificate_findings(&self.joining(number).await?).await?;
                let mismatches = findings.into_iter().map(|finding| finding.finding).collect();
                Act::VerifyCertificates { mismatches }
            }
            Step::RejectCertificates { explanation } => Act::RejectCertificates { explanation },
            Step::RegisterCertificates => {
                let case = self.joining(number).await?;
                self.check_registered(&case).await?;
                Act::RegisterCertificates
            }
            Step::ConfirmConnection { record } => Act::ConfirmConnection { record },
            Step::ConfirmCatalog => Act::ConfirmCatalog,
        })
    }

    /// Nobody's word is taken for what the registry says.
    async fn check_registered(&self, case: &Case) -> Result<(), JoiningError> {
        let registry = self.snapshot().await?.registry;
        let wanted = case.procedure.certificates().map(|(authentication, _)| authentication);
        let mut servers = registry.servers().iter().filter(|(id, _)| id.owner == case.member);
        let has_it = |certificate: &Der| Some(certificate.sha256()) == wanted;
        match servers.any(|(_, server)| server.certificates.iter().any(has_it)) {
            true => Ok(()),
            false => Err(JoiningError::NotRegistered { member: Box::new(case.member.clone()) }),
        }
    }

    async fn keep_text(&self, text: String) -> Result<Sha256, JoiningError> {
        // Pages send lines as HTTP's forms have them.
        let text = text.replace("\r\n", "\n");
        if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
            return Err(JoiningError::Text);
        }
        let digest = Sha256::of(text.as_bytes());
        self.keep(&digest.to_string(), Some(&Text(text))).await?;
        Ok(digest)
    }

    async fn keep_certificate(&self, pem: &str) -> Result<Sha256, JoiningError> {
        let [certificate] = Certificate::chain_from_pem(pem.as_bytes())?
            .try_into()
            .map_err(|_| JoiningError::OneCertificate)?;
        let der = Der::from(certificate);
        self.keep(&der.sha256().to_string(), Some(&der)).await?;
        Ok(der.sha256())
    }
}

fn findings_of(
    der: &Der,
    usage: CertificateUse,
    member: &MemberId,
    registry: &Registry,
    now: Timestamp,
) -> Vec<String> {
    let certificate = match der.certificate() {
        Ok(certificate) => certificate,
        Err(error) => return vec![ErrorChain(&error).to_string()],
    };
    let authorities = registry.authorities();
    let mut findings = Vec::new();
    if let Err(error) = authorities.path(&certificate, usage, now) {
        findings.push(ErrorChain(&error).to_string());
    }
    match usage {
        CertificateUse::Authentication => {
            let mut others = registry.servers().iter().filter(|(id, _)| id.owner != *member);
            if let Some((server, _)) = others.find(|(_, server)| server.certificates.contains(der)) {
                findings.push(format!("is that of {server}"));
            }
        }
        CertificateUse::Signing => {
            // Of an issuer that is not approved, the path has spoken.
            let issuer = authorities.issuer(&certificate).ok();
            match issuer.map(|issuer| issuer.profile.member(&certificate, &member.instance)) {
                Some(Ok(named)) if named != *member => {
                    findings.push(format!("names {named} instead of {member}"));
                }
                Some(Err(error)) => findings.push(ErrorChain(&error).to_string()),
                _ => {}
            }
        }
    }
    findings
}
