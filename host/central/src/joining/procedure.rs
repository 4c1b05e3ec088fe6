use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuk_pki::Sha256;

use super::application::{Application, Duty, Problem, title_problems};
use super::calendar::Calendar;
use super::deadline::{Deadline, Phase, PhaseClock};
use super::profile::{Ground, Profile};
use super::refusal::JoiningRefusal;
use super::scan::{Attachment, SignedCopy};
use super::stage::{Party, Stage, Turn};

/// Nobody hands back and in again so often.
const EVENTS_MAX: usize = 500;
/// Each takes its place in the database.
const SIGNED_COPIES_MAX: usize = 10;
const ATTACHMENTS_MAX: usize = 30;
const QUESTIONS_MAX: usize = 100;
const EXPLANATION_CHARS_MAX: usize = 4000;

/// The way of one application, with all that was handed in and decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Procedure {
    application: Application,
    /// What belongs to it. Procedures that are older than attachments have none.
    #[serde(default)]
    attachments: Vec<Attachment>,
    /// Of exactly these. Procedures that are older than such copies have none.
    #[serde(default)]
    signed_copy: Option<SignedCopy>,
    stage: Stage,
    agreement: Option<Agreement>,
    /// Who has signed that agreement, by which person.
    signatures: BTreeMap<Party, String>,
    instructions: Instructions,
    clock: Option<PhaseClock>,
    days_spent: BTreeMap<Phase, u32>,
    history: Vec<Event>,
}

/// What a party does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "kebab-case")]
pub enum Act {
    /// Writes the application, or mends it.
    Write(Application),
    /// Adds a file to it, or gives one that is there another title.
    Attach(Attachment),
    /// Removes one.
    Detach {
        /// Of the file.
        file: Sha256,
    },
    /// Adds it as it was printed and signed by hand.
    AttachSignedCopy(SignedCopy),
    /// Hands it in, again if it was handed back.
    Submit {
        /// Of the application, as printed and signed.
        application: Sha256,
    },
    /// Gives it up.
    Withdraw,
    /// Asks the operator for help.
    Ask {
        /// What with.
        question: String,
    },
    /// Answers what was asked since the last answer.
    Answer {
        /// What to do.
        answer: String,
    },
    /// Takes it up for review.
    Review,
    /// Hands it back to be mended.
    Return {
        /// What is to be mended.
        explanation: String,
    },
    /// Accepts the applicant.
    Approve {
        /// By the checklist.
        review: Review,
    },
    /// Refuses the applicant, on grounds of the law.
    Refuse {
        /// By the checklist.
        review: Review,
        /// At least one.
        grounds: BTreeSet<Ground>,
        /// Why they hold here.
        explanation: String,
    },
    /// Signs the agreement, by a person.
    Sign {
        /// The agreement; both parties sign the same.
        agreement: Agreement,
        /// Who signs.
        person: String,
    },
    /// Ends the agreement.
    Terminate {
        /// Why, and from when.
        explanation: String,
    },
    /// Proposes a text of the technical instructions in place of the one before.
    Propose {
        /// Of the text.
        text: Sha256,
    },
    /// Approves the text as proposed now.
    Consent {
        /// Of the text.
        text: Sha256,
    },
    /// Reports that the server is fit.
    ReportHost {
        /// Of the report.
        report: Sha256,
    },
    /// Reports that the keys are on their carrier.
    ReportKeys,
    /// Reports that certificates have been requested.
    ReportRequests,
    /// Hands in the certificates of server and system.
    SubmitCertificates {
        /// Of the server's authentication.
        authentication: Option<Sha256>,
        /// Of each system's signature.
        signing: BTreeSet<Sha256>,
    },
    /// Confirms that they fit the application, which a machine has compared field by field.
    VerifyCertificates {
        /// The fields that differ; with any, nothing can be confirmed.
        mismatches: Vec<String>,
    },
    /// Hands them back, because they do not fit.
    RejectCertificates {
        /// What does not.
        explanation: String,
    },
    /// Registers them, so that all servers know of them.
    RegisterCertificates,
    /// Confirms that a test call came through.
    ConfirmConnection {
        /// Of its record.
        record: Sha256,
    },
    /// Confirms that the catalog is complete.
    ConfirmCatalog,
}

/// What was found of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// For each item, whether it is met.
    pub items: BTreeMap<String, bool>,
}

/// The agreement between operator and member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Of its text.
    pub text: Sha256,
    /// The first day on which it counts.
    pub effective: Date,
    /// The last; none if it has no end.
    pub expires: Option<Date>,
}

/// The technical instructions, on which both parties agree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instructions {
    /// The text as proposed now.
    pub text: Option<Sha256>,
    /// Who approves exactly this.
    pub consents: BTreeSet<Party>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// For whom.
    pub party: Party,
    /// By which person.
    pub person: String,
    /// What.
    pub act: Act,
    /// Where that led.
    pub stage: Stage,
}

/// Something that must be so before a member is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// The stage that is reached by it.
    pub stage: Stage,
    /// Since when it is so.
    pub passed: Option<Timestamp>,
}

/// Whose act it is; `None` if both may do it.
fn party_of(act: &Act) -> Option<Party> {
    match act {
        Act::Write(_)
        | Act::Attach(_)
        | Act::Detach { .. }
        | Act::AttachSignedCopy(_)
        | Act::Submit { .. }
        | Act::Withdraw
        | Act::Ask { .. }
        | Act::ReportHost { .. }
        | Act::ReportKeys
        | Act::ReportRequests
        | Act::SubmitCertificates { .. } => Some(Party::Applicant),
        Act::Review
        | Act::Answer { .. }
        | Act::Return { .. }
        | Act::Approve { .. }
        | Act::Refuse { .. }
        | Act::VerifyCertificates { .. }
        | Act::RejectCertificates { .. }
        | Act::RegisterCertificates
        | Act::ConfirmConnection { .. }
        | Act::ConfirmCatalog => Some(Party::Operator),
        // Both sign and may end what they have signed, and both work on the instructions.
        Act::Sign { .. } | Act::Terminate { .. } | Act::Propose { .. } | Act::Consent { .. } => None,
    }
}

impl Procedure {
    /// The gates on the way, in order.
    const GATES: [Stage; 12] = [
        Stage::Submitted,
        Stage::Approved,
        Stage::AgreementSigned,
        Stage::InstructionsAgreed,
        Stage::HostReady,
        Stage::KeysReady,
        Stage::CertificatesRequested,
        Stage::CertificatesSubmitted,
        Stage::CertificatesVerified,
        Stage::CertificatesRegistered,
        Stage::Connected,
        Stage::Ready,
    ];

    /// A draft.
    pub fn new(application: Application) -> Self {
        Self {
            application,
            attachments: Vec::new(),
            signed_copy: None,
            stage: Stage::Draft,
            agreement: None,
            signatures: BTreeMap::new(),
            instructions: Instructions::default(),
            clock: None,
            days_spent: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// What the applicant says.
    pub fn application(&self) -> &Application {
        &self.application
    }

    /// The files that belong to it.
    pub fn attachments(&self) -> &[Attachment] {
        &self.attachments
    }

    /// The digest by which a printed form, its signature and a review name exactly this application with these files.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn digest(&self) -> serde_json::Result<Sha256> {
        #[derive(Serialize)]
        struct Filing<'a> {
            #[serde(flatten)]
            application: &'a Application,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            attachments: &'a [Attachment],
        }
        let filing = Filing { application: &self.application, attachments: &self.attachments };
        serde_json::to_vec(&filing).map(|json| Sha256::of(&json))
    }

    /// All that is wrong with the application by the rules of `profile`, as of `today`.
    pub fn problems(&self, profile: &Profile, today: Date) -> Vec<Problem> {
        let mut problems = self.application.problems(profile, today);
        for (index, person) in self.application.persons.iter().enumerate() {
            let is_attached =
                |digest: Sha256| self.attachments.iter().any(|attachment| attachment.file == digest);
            if !person.authority.sha256.is_none_or(is_attached) {
                let field = format!("/persons/{index}/authority/sha256");
                problems.push(Problem { field, problem: "is of no attachment" });
            }
        }
        problems
    }

    /// That, as it was printed and signed by hand, if this was handed in.
    pub fn signed_copy(&self) -> Option<&SignedCopy> {
        self.signed_copy.as_ref()
    }

    /// The agreement, as soon as a party has signed it.
    pub fn agreement(&self) -> Option<&Agreement> {
        self.agreement.as_ref()
    }

    /// The certificates that were handed in last: of the server, and of the systems' signatures.
    pub fn certificates(&self) -> Option<(Sha256, &BTreeSet<Sha256>)> {
        self.history.iter().rev().find_map(|event| match &event.act {
            Act::SubmitCertificates { authentication, signing } => Some(((*authentication)?, signing)),
            _ => None,
        })
    }

    /// Who has signed it, by which person.
    pub fn signatures(&self) -> &BTreeMap<Party, String> {
        &self.signatures
    }

    /// The technical instructions so far.
    pub fn instructions(&self) -> &Instructions {
        &self.instructions
    }

    /// What happened, from the beginning.
    pub fn history(&self) -> &[Event] {
        &self.history
    }

    /// The working days that the operator took for each phase that is over.
    pub fn days_spent(&self) -> &BTreeMap<Phase, u32> {
        &self.days_spent
    }

    /// Whether the applicant has asked something that nobody has answered yet.
    pub fn has_open_question(&self) -> bool {
        let mut talk = self.history.iter().rev().map(|event| &event.act);
        let last = talk.find(|act| matches!(act, Act::Ask { .. } | Act::Answer { .. }));
        matches!(last, Some(Act::Ask { .. }))
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        match self.stage {
            Stage::Submitted
            | Stage::InReview
            | Stage::CertificatesSubmitted
            | Stage::CertificatesVerified
            | Stage::CertificatesRegistered
            | Stage::Connected => Turn::Operator,
            Stage::Approved if self.signatures.contains_key(&Party::Applicant) => Turn::Operator,
            // Who has approved the text as it is waits for the other.
            Stage::AgreementSigned if !self.instructions.consents.contains(&Party::Operator) => {
                Turn::Operator
            }
            Stage::Refused | Stage::Withdrawn | Stage::Terminated | Stage::Ready => Turn::Nobody,
            _ => Turn::Applicant,
        }
    }

    /// When the operator must have done its part; `None` if the law sets no period here.
    pub fn deadline(&self, profile: &Profile, calendar: &Calendar, now: Timestamp) -> Option<Deadline> {
        let clock = self.clock.as_ref()?;
        let days_max = profile.days_max(clock.phase);
        Some(clock.deadline(days_max, profile.deadlines.remind, calendar.today(now), calendar))
    }

    /// All that must be so before the member is ready, and since when it is.
    pub fn gates(&self) -> Vec<Gate> {
        let passed = |stage: Stage| {
            let reached = self.history.iter().find(|event| event.stage == stage).map(|event| event.at);
            reached.filter(|_| self.stage >= stage)
        };
        Self::GATES.into_iter().map(|stage| Gate { stage, passed: passed(stage) }).collect()
    }

    /// Who has submitted the application last, if it gives them no authority that is in force on a day.
    pub fn unauthorised_submitter(&self, today: Date) -> Option<&str> {
        let is_submission = |event: &&Event| matches!(event.act, Act::Submit { .. });
        let submitter = &self.history.iter().rev().find(is_submission)?.person;
        (!self.application.authorises(submitter, today)).then_some(submitter)
    }

    /// Does what a party wants, by a person, if it may.
    ///
    /// # Errors
    /// [`JoiningRefusal`]; nothing has changed.
    pub fn act(
        &mut self,
        (party, person): (Party, &str),
        act: Act,
        profile: &Profile,
        calendar: &Calendar,
        now: Timestamp,
    ) -> Result<(), JoiningRefusal> {
        if self.history.len() >= EVENTS_MAX {
            return Err(JoiningRefusal::TooManyActs);
        }
        if party_of(&act).is_some_and(|owner| owner != party) {
            return Err(JoiningRefusal::NotYours { act: (&act).into(), party });
        }
        let today = calendar.today(now);
        let mut next = self.clone();
        next.stage = next.follow(party, &act, profile, today)?;
        next.set_clock(today, calendar);
        // Of an application that is being written, only the last text counts.
        let is_written_on = |event: &mut Event| matches!((&event.act, &act), (Act::Write(_), Act::Write(_)));
        next.history.pop_if(is_written_on);
        next.history.push(Event { at: now, party, person: person.to_owned(), act, stage: next.stage });
        *self = next;
        Ok(())
    }

    /// Refuses an application that is not the one written now, or not complete.
    fn check_application(
        &self,
        application: &Sha256,
        profile: &Profile,
        today: Date,
    ) -> Result<(), JoiningRefusal> {
        if self.digest().ok() != Some(*application) {
            return Err(JoiningRefusal::OtherApplication);
        }
        let problems = self.problems(profile, today);
        match problems.is_empty() {
            true => Ok(()),
            false => Err(JoiningRefusal::Incomplete { problems }),
        }
    }

    /// Where an act leads. This is the whole state machine: what is not here has no place.
    fn follow(
        &mut self,
        party: Party,
        act: &Act,
        profile: &Profile,
        today: Date,
    ) -> Result<Stage, JoiningRefusal> {
        match (self.stage, act) {
            (Stage::Draft | Stage::Returned, Act::Write(application)) => {
                self.application = application.clone();
                // What was signed is not what is written now.
                self.signed_copy = None;
                Ok(self.stage)
            }
            (Stage::Draft | Stage::Returned, Act::Attach(attachment)) => {
                self.attach(attachment)?;
                Ok(self.stage)
            }
            (Stage::Draft | Stage::Returned, Act::Detach { file }) => {
                let place = self.attachments.iter().position(|attachment| attachment.file == *file);
                self.attachments.remove(place.ok_or(JoiningRefusal::NoSuchAttachment)?);
                self.signed_copy = None;
                Ok(self.stage)
            }
            (Stage::Draft | Stage::Returned, Act::AttachSignedCopy(copy)) => {
                self.check_application(&copy.application, profile, today)?;
                let is_copy = |event: &&Event| matches!(event.act, Act::AttachSignedCopy(_));
                if self.history.iter().filter(is_copy).count() >= SIGNED_COPIES_MAX {
                    return Err(JoiningRefusal::TooManySignedCopies { count_max: SIGNED_COPIES_MAX });
                }
                self.signed_copy = Some(copy.clone());
                Ok(self.stage)
            }
            (Stage::Draft | Stage::Returned, Act::Submit { application }) => {
                self.check_application(application, profile, today)?;
                Ok(Stage::Submitted)
            }
            (stage, Act::Withdraw) if !stage.is_over() => Ok(Stage::Withdrawn),

            // Help is for whoever has not come to another end than being ready.
            (stage, Act::Ask { question }) if !stage.is_over() || stage == Stage::Ready => {
                check_explanation(question)?;
                let is_question = |event: &&Event| matches!(event.act, Act::Ask { .. });
                match self.history.iter().filter(is_question).count() < QUESTIONS_MAX {
                    true => Ok(stage),
                    false => Err(JoiningRefusal::TooManyQuestions { count_max: QUESTIONS_MAX }),
                }
            }
            (stage, Act::Answer { answer }) => {
                check_explanation(answer)?;
                match self.has_open_question() {
                    true => Ok(stage),
                    false => Err(JoiningRefusal::NoQuestion),
                }
            }

            (Stage::Submitted, Act::Review) => Ok(Stage::InReview),
            (Stage::InReview, Act::Return { explanation }) => {
                check_explanation(explanation)?;
                Ok(Stage::Returned)
            }
            (Stage::InReview, Act::Approve { review }) => {
                review.check(profile)?;
                if self.application.systems.is_empty() {
                    return Err(JoiningRefusal::NoInformationSystem);
                }
                match review.items.iter().find(|(_, met)| !**met) {
                    Some((item, _)) => Err(JoiningRefusal::NotMet { item: item.clone() }),
                    None => Ok(Stage::Approved),
                }
            }
            (Stage::InReview, Act::Refuse { review, grounds, explanation }) => {
                review.check(profile)?;
                if grounds.is_empty() {
                    return Err(JoiningRefusal::NoGround);
                }
                check_explanation(explanation)?;
                Ok(Stage::Refused)
            }

            // What was signed ends by a declaration of either, even after all is done.
            (stage, Act::Terminate { explanation }) if stage.is_bound() => {
                check_explanation(explanation)?;
                Ok(Stage::Terminated)
            }

            (Stage::Approved, Act::Sign { agreement, person }) => self.sign(party, agreement, person, today),
            (Stage::AgreementSigned, Act::Propose { text }) => {
                self.instructions = Instructions { text: Some(*text), consents: BTreeSet::new() };
                Ok(Stage::AgreementSigned)
            }
            (Stage::AgreementSigned, Act::Consent { text }) => {
                if self.instructions.text != Some(*text) {
                    return Err(JoiningRefusal::OtherText);
                }
                self.instructions.consents.insert(party);
                let both = self.instructions.consents.len() == 2;
                Ok(if both { Stage::InstructionsAgreed } else { Stage::AgreementSigned })
            }

            (Stage::InstructionsAgreed, Act::ReportHost { .. }) => Ok(Stage::HostReady),
            (Stage::HostReady, Act::ReportKeys) => Ok(Stage::KeysReady),
            (Stage::KeysReady, Act::ReportRequests) => Ok(Stage::CertificatesRequested),
            (Stage::CertificatesRequested, Act::SubmitCertificates { authentication, signing }) => {
                match authentication.is_none() || signing.is_empty() {
                    true => Err(JoiningRefusal::CertificateMissing),
                    false => Ok(Stage::CertificatesSubmitted),
                }
            }
            (Stage::CertificatesSubmitted, Act::RejectCertificates { explanation }) => {
                check_explanation(explanation)?;
                Ok(Stage::CertificatesRequested)
            }
            (Stage::CertificatesSubmitted, Act::VerifyCertificates { mismatches }) => {
                match mismatches.len() {
                    0 => Ok(Stage::CertificatesVerified),
                    count => Err(JoiningRefusal::CertificateMismatch { count }),
                }
            }
            (Stage::CertificatesVerified, Act::RegisterCertificates) => Ok(Stage::CertificatesRegistered),
            (Stage::CertificatesRegistered, Act::ConfirmConnection { .. }) => Ok(Stage::Connected),
            (Stage::Connected, Act::ConfirmCatalog) => Ok(Stage::Ready),

            (stage, act) => Err(JoiningRefusal::WrongStage { act: act.into(), stage }),
        }
    }

    fn attach(&mut self, attachment: &Attachment) -> Result<(), JoiningRefusal> {
        let problems = title_problems(&attachment.title);
        if !problems.is_empty() {
            return Err(JoiningRefusal::Incomplete { problems });
        }
        // Files of which one was removed are kept as well.
        let is_attaching = |event: &&Event| matches!(event.act, Act::Attach(_));
        if self.history.iter().filter(is_attaching).count() >= ATTACHMENTS_MAX {
            return Err(JoiningRefusal::TooManyAttachments { count_max: ATTACHMENTS_MAX });
        }
        match self.attachments.iter_mut().find(|known| known.file == attachment.file) {
            Some(known) => *known = attachment.clone(),
            None => self.attachments.push(attachment.clone()),
        }
        self.signed_copy = None;
        Ok(())
    }

    fn sign(
        &mut self,
        party: Party,
        agreement: &Agreement,
        person: &str,
        today: Date,
    ) -> Result<Stage, JoiningRefusal> {
        if agreement.expires.is_some_and(|expires| expires < agreement.effective) {
            return Err(JoiningRefusal::AgreementDates);
        }
        if party == Party::Applicant && !self.application.has_duty(person, Duty::SignsAgreement, today) {
            return Err(JoiningRefusal::NotAuthorised { person: person.to_owned() });
        }
        let other_has_signed = self.signatures.keys().any(|signer| *signer != party);
        if other_has_signed && self.agreement.as_ref() != Some(agreement) {
            return Err(JoiningRefusal::OtherAgreement);
        }
        self.agreement = Some(agreement.clone());
        self.signatures.insert(party, person.to_owned());
        Ok(if other_has_signed { Stage::AgreementSigned } else { Stage::Approved })
    }

    /// The clock of a phase runs while it is the operator's turn.
    fn set_clock(&mut self, today: Date, calendar: &Calendar) {
        let phase = self.stage.phase();
        if let Some(clock) = self.clock.take_if(|clock| Some(clock.phase) != phase) {
            self.days_spent.insert(clock.phase, clock.days_spent(today, calendar));
        }
        let running = self.turn() == Turn::Operator;
        if let Some(phase) = phase {
            self.clock.get_or_insert_with(|| PhaseClock::new(phase)).set_running(running, today, calendar);
        }
    }
}

impl Review {
    /// Whether it decides the items of the checklist, and no others.
    fn check(&self, profile: &Profile) -> Result<(), JoiningRefusal> {
        let items: BTreeSet<_> = profile.checklist.iter().map(|item| item.id.as_str()).collect();
        let decided: BTreeSet<_> = self.items.keys().map(String::as_str).collect();
        match items.symmetric_difference(&decided).next() {
            Some(item) => Err(JoiningRefusal::Checklist { item: item.chars().take(50).collect() }),
            None => Ok(()),
        }
    }
}

fn check_explanation(explanation: &str) -> Result<(), JoiningRefusal> {
    match explanation.trim().is_empty() || explanation.chars().count() > EXPLANATION_CHARS_MAX {
        true => Err(JoiningRefusal::NoExplanation),
        false => Ok(()),
    }
}
