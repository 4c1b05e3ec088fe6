use std::fmt;

use uuk_central::vetting::VettingStepName;
use uuk_central::{Person, Role, StepName};

/// What a person may want to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    SeeProcedures,
    BeginProcedure,
    Step(StepName),
    Attach,
    AttachSignedCopy,
    EditCalendar,
    SeeSubmissions,
    SubmitBundle,
    Vet(VettingStepName),
    SeeCatalog,
    EditCatalog,
    AskAccess,
    DecideAccess,
    SeePeople,
    Invite,
    Dismiss,
    SeeAudit,
}

impl fmt::Display for Action {
    /// As the audit log names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeeProcedures => f.write_str("see-procedures"),
            Self::BeginProcedure => f.write_str("joining-begin"),
            Self::Step(step) => write!(f, "joining-{}", step.to_string().replace('_', "-")),
            Self::Attach => f.write_str("joining-attach"),
            Self::AttachSignedCopy => f.write_str("joining-attach-signed-copy"),
            Self::EditCalendar => f.write_str("set-calendar"),
            Self::SeeSubmissions => f.write_str("see-submissions"),
            Self::SubmitBundle => f.write_str("vetting-submit"),
            Self::Vet(step) => write!(f, "vetting-{step}"),
            Self::SeeCatalog => f.write_str("see-catalog"),
            Self::EditCatalog => f.write_str("edit-catalog"),
            Self::AskAccess => f.write_str("ask-access"),
            Self::DecideAccess => f.write_str("decide-access"),
            Self::SeePeople => f.write_str("see-people"),
            Self::Invite => f.write_str("invite-person"),
            Self::Dismiss => f.write_str("dismiss-person"),
            Self::SeeAudit => f.write_str("see-audit"),
        }
    }
}

/// Who may do what. Nobody else may.
pub(crate) fn roles(action: Action) -> &'static [Role] {
    use Role::{Auditor, CatalogEditor, Head, Operator, Reviewer, Specialist};
    match action {
        Action::SeeProcedures => &[Operator, Reviewer, Auditor, Head, Specialist, CatalogEditor],
        Action::BeginProcedure | Action::Attach | Action::AttachSignedCopy => &[Head, Specialist],
        Action::SeeSubmissions => &[Operator, Reviewer, Auditor, Head, Specialist],
        Action::SubmitBundle | Action::Vet(VettingStepName::Withdraw) => &[Operator, Head, Specialist],
        // Who handed a bundle in does not review it, whatever else they are.
        Action::Vet(VettingStepName::Approve | VettingStepName::Refuse) => &[Reviewer],
        Action::Vet(VettingStepName::Revoke) => &[Operator, Reviewer],
        Action::SeeCatalog => &[Operator, Reviewer, Auditor, Head, Specialist, CatalogEditor],
        Action::EditCatalog => &[CatalogEditor],
        Action::AskAccess | Action::DecideAccess => &[Head, CatalogEditor],
        Action::SeePeople => &[Operator, Auditor],
        Action::EditCalendar | Action::Invite | Action::Dismiss => &[Operator],
        Action::SeeAudit => &[Operator, Auditor],
        Action::Step(step) => match step {
            // What binds the institution is for its head.
            StepName::Submit | StepName::Withdraw => &[Head],
            StepName::Write
            | StepName::Ask
            | StepName::Detach
            | StepName::ReportHost
            | StepName::ReportKeys
            | StepName::ReportRequests
            | StepName::SubmitCertificates => &[Head, Specialist],
            StepName::Review
            | StepName::Answer
            | StepName::Return
            | StepName::Approve
            | StepName::Refuse
            | StepName::VerifyCertificates
            | StepName::RejectCertificates => &[Operator, Reviewer],
            StepName::RegisterCertificates | StepName::ConfirmConnection | StepName::ConfirmCatalog => {
                &[Operator]
            }
            // Who signs also needs the duty to sign, which the application says.
            StepName::Sign => &[Operator, Head, Specialist],
            StepName::Propose => &[Operator, Reviewer, Head, Specialist],
            StepName::Consent | StepName::Terminate => &[Operator, Head],
        },
    }
}

pub(crate) fn may(person: &Person, action: Action) -> bool {
    roles(action).iter().any(|role| person.roles.contains(role))
}
