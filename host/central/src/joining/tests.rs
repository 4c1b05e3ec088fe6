use jiff::Timestamp;
use jiff::civil::{Date, date};
use uuk_pki::Sha256;

use super::*;

/// A procedure with its profile, and a clock that a test sets.
struct Case {
    procedure: Procedure,
    profile: &'static Profile,
    calendar: &'static Calendar,
    now: Timestamp,
}

impl Case {
    fn new(profile: &str) -> Self {
        let profile = Profile::of(profile).unwrap();
        let calendar = Calendar::of(&profile.calendar).unwrap();
        let procedure = Procedure::new(application(profile));
        Self { procedure, profile, calendar, now: "2026-03-02T06:00:00Z".parse().unwrap() }
    }

    /// At noon of a day, in either country.
    fn on(&mut self, day: Date) -> &mut Self {
        self.now = format!("{day}T07:00:00Z").parse().unwrap();
        self
    }

    #[track_caller]
    fn does(&mut self, party: Party, act: Act) -> &mut Self {
        self.tries(party, act).unwrap();
        self
    }

    fn tries(&mut self, party: Party, act: Act) -> Result<(), JoiningRefusal> {
        let person = if party == Party::Applicant { "A. Asanova" } else { "B. Bekov" };
        self.procedure.act((party, person), act, self.profile, self.calendar, self.now)
    }

    #[track_caller]
    fn refuses(&mut self, party: Party, act: Act, code: &str) {
        let before = self.procedure.clone();
        assert_eq!(self.tries(party, act).unwrap_err().code(), code);
        assert_eq!(self.procedure, before);
    }

    fn applicant(&mut self, act: Act) -> &mut Self {
        self.does(Party::Applicant, act)
    }

    fn operator(&mut self, act: Act) -> &mut Self {
        self.does(Party::Operator, act)
    }

    fn deadline(&self) -> Deadline {
        self.procedure.deadline(self.profile, self.calendar, self.now).unwrap()
    }

    fn review(&self) -> Review {
        Review { items: self.profile.checklist.iter().map(|item| (item.id.clone(), true)).collect() }
    }

    fn submission(&self) -> Act {
        Act::Submit { application: self.procedure.digest().unwrap() }
    }

    fn submit(&mut self) -> &mut Self {
        let submission = self.submission();
        self.applicant(submission)
    }

    fn approve(&mut self) -> &mut Self {
        let review = self.review();
        self.submit().operator(Act::Review).operator(Act::Approve { review })
    }

    fn sign(&mut self) -> &mut Self {
        let sign = |person: &str| Act::Sign { agreement: agreement("2026-04-01"), person: person.into() };
        self.applicant(sign("A. Asanova")).operator(sign("B. Bekov"))
    }

    fn agree(&mut self) -> &mut Self {
        self.operator(Act::Propose { text: text("first") })
            .operator(Act::Consent { text: text("first") })
            .applicant(Act::Consent { text: text("first") })
    }

    fn prepare(&mut self) -> &mut Self {
        self.applicant(Act::ReportHost { report: text("preflight") })
            .applicant(Act::ReportKeys)
            .applicant(Act::ReportRequests)
    }
}

fn application(profile: &Profile) -> Application {
    let duties = [Duty::MaintainsSystems, Duty::AnswersForAccuracy, Duty::ConnectsAndExchanges];
    let person = |name: &str, duties: &[Duty]| ResponsiblePerson {
        name: name.into(),
        position: "Head of department".into(),
        duties: duties.iter().copied().collect(),
        authority: Document { title: "Order 12 of 1 February 2026".into(), sha256: None },
        valid_until: Some(date(2026, 12, 31)),
    };
    Application {
        names: profile.languages.iter().map(|language| (language.clone(), "Registry".into())).collect(),
        address: "Bishkek, Manas 1".into(),
        persons: vec![person("A. Asanova", &[Duty::SignsAgreement]), person("C. Choroev", &duties)],
        systems: vec![InformationSystem { name: "People".into(), purpose: "Registers people".into() }],
    }
}

fn agreement(effective: &str) -> Agreement {
    Agreement { text: text("agreement"), effective: effective.parse().unwrap(), expires: None }
}

fn text(content: &str) -> Sha256 {
    Sha256::of(content.as_bytes())
}

fn certificates() -> Act {
    Act::SubmitCertificates { authentication: Some(text("auth")), signing: [text("sign")].into() }
}

#[test]
fn a_member_becomes_ready_by_every_gate() {
    for profile in ["tunduk-2018", "uz-iip"] {
        let mut case = Case::new(profile);
        case.approve().sign().agree().prepare().applicant(certificates());
        case.operator(Act::VerifyCertificates { mismatches: Vec::new() })
            .operator(Act::RegisterCertificates)
            .operator(Act::ConfirmConnection { record: text("call") });
        let open: Vec<_> = case.procedure.gates().into_iter().filter(|gate| gate.passed.is_none()).collect();
        assert_eq!(open, [Gate { stage: Stage::Ready, passed: None }], "{profile}");
        case.operator(Act::ConfirmCatalog);
        assert_eq!((case.procedure.stage(), case.procedure.turn()), (Stage::Ready, Turn::Nobody));
        assert!(case.procedure.gates().iter().all(|gate| gate.passed == Some(case.now)));
        assert_eq!(case.procedure.days_spent().len(), 3, "each phase was measured");
        case.refuses(Party::Applicant, Act::Withdraw, "joining.wrong_stage");
    }
}

#[test]
fn review_over_nooruz_and_orozo_ait_takes_seven_working_days() {
    let mut case = Case::new("tunduk-2018");
    // Friday the 13th; off are Friday the 20th, and two weekends.
    case.on(date(2026, 3, 13)).submit();
    assert_eq!(case.deadline().due, Some(date(2026, 3, 25)));
    assert!(!case.deadline().provisional);
    for (day, spent, timeliness) in [
        (date(2026, 3, 13), 0, Timeliness::InTime),
        (date(2026, 3, 21), 4, Timeliness::InTime),
        (date(2026, 3, 23), 5, Timeliness::InTime),
        (date(2026, 3, 24), 6, Timeliness::DueSoon),
        (date(2026, 3, 25), 7, Timeliness::DueSoon),
        (date(2026, 3, 26), 8, Timeliness::Overdue),
    ] {
        let deadline = case.on(day).deadline();
        assert_eq!((deadline.days_spent, deadline.timeliness), (spent, timeliness), "{day}");
    }
}

#[test]
fn review_over_the_new_year_waits_a_week_longer_in_kyrgyzstan() {
    for (profile, due) in [("tunduk-2018", date(2027, 1, 11)), ("uz-iip", date(2027, 1, 5))] {
        let mut case = Case::new(profile);
        // Thursday; five working days are left in the year.
        let due_said = case.on(date(2026, 12, 24)).submit().deadline();
        assert_eq!(due_said.due, Some(due), "{profile}");
        assert!(due_said.provisional, "the holidays of 2027 may still be announced");
    }
}

#[test]
fn no_day_counts_while_the_applicant_must_act() {
    let mut case = Case::new("tunduk-2018");
    // Monday; Wednesday is the second working day after it, and counts.
    case.on(date(2026, 3, 2)).submit();
    let returned = Act::Return { explanation: "The order is missing".into() };
    case.on(date(2026, 3, 4)).operator(Act::Review).operator(returned);
    let paused = case.on(date(2026, 3, 17)).deadline();
    assert_eq!((paused.days_spent, paused.due, paused.timeliness), (2, None, Timeliness::Paused));
    assert_eq!(case.procedure.turn(), Turn::Applicant);
    // Five are left after Tuesday the 17th: 18, 19, 23, 24, 25.
    case.submit();
    assert_eq!(case.deadline().due, Some(date(2026, 3, 25)));
}

#[test]
fn the_clock_of_the_connection_runs_only_while_the_operator_connects() {
    let mut case = Case::new("uz-iip");
    case.on(date(2026, 4, 6)).approve().sign().agree();
    assert_eq!(case.deadline().timeliness, Timeliness::Paused, "the applicant prepares");
    case.on(date(2026, 5, 11)).prepare().applicant(certificates());
    let deadline = case.deadline();
    assert_eq!((deadline.phase, deadline.due), (Phase::Connection, Some(date(2026, 5, 18))));
    case.on(date(2026, 5, 13)).operator(Act::RejectCertificates { explanation: "Another code".into() });
    assert_eq!(case.deadline().days_spent, 2);
    case.on(date(2026, 5, 20)).applicant(certificates());
    assert_eq!(case.deadline().due, Some(date(2026, 5, 25)));
}

#[test]
fn an_application_is_submitted_complete() {
    let mut case = Case::new("tunduk-2018");
    let mut application = case.procedure.application().clone();
    application.names.remove("ky");
    application.address = " ".into();
    application.persons.remove(0);
    case.applicant(Act::Write(application));
    let submission = case.submission();
    let Err(JoiningRefusal::Incomplete { problems }) = case.tries(Party::Applicant, submission) else {
        panic!("submitted")
    };
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["/names/ky", "/address", "/persons"], "and nobody may sign");
    let submission = case.submission();
    case.refuses(Party::Applicant, submission, "joining.incomplete");
}

#[test]
fn what_was_signed_is_what_is_handed_in() {
    let mut case = Case::new("tunduk-2018");
    let signed = case.submission();
    let mut application = case.procedure.application().clone();
    application.address.push_str(", office 2");
    case.applicant(Act::Write(application.clone()));
    case.refuses(Party::Applicant, signed, "joining.other_application");
    case.applicant(Act::Write(application));
    assert_eq!(case.procedure.history().len(), 1, "of a draft, only the last text counts");
}

#[test]
fn a_signed_copy_is_of_exactly_the_application_that_is_handed_in() {
    let mut case = Case::new("tunduk-2018");
    let application = case.procedure.application().clone();
    let digest = case.procedure.digest().unwrap();
    let copy =
        |digest| Act::AttachSignedCopy(SignedCopy::of(digest, b"%PDF-1.7 of the signed paper").unwrap());
    case.refuses(Party::Applicant, copy(Sha256::of(b"another")), "joining.other_application");
    case.applicant(copy(digest));
    assert_eq!(case.procedure.signed_copy().unwrap().application, digest);
    // Whoever changes the application has it signed anew.
    case.applicant(Act::Write(Application { address: "Osh, Lenin 2".into(), ..application.clone() }));
    assert_eq!(case.procedure.signed_copy(), None);
    case.refuses(Party::Applicant, copy(digest), "joining.other_application");
    case.applicant(Act::Write(Application::default()));
    let empty = case.procedure.digest().unwrap();
    case.refuses(Party::Applicant, copy(empty), "joining.incomplete");
    case.applicant(Act::Write(application));
    for _ in 1..10 {
        case.applicant(copy(digest));
    }
    case.refuses(Party::Applicant, copy(digest), "joining.too_many_signed_copies");
    case.refuses(Party::Operator, copy(digest), "joining.not_yours");

    case.submit();
    assert!(case.procedure.signed_copy().is_some());
    case.refuses(Party::Applicant, copy(digest), "joining.wrong_stage");
}

#[test]
fn help_is_asked_for_and_given_without_a_change_of_stage() {
    let ask = || Act::Ask { question: "Which port is to be open?".into() };
    let answer = || Act::Answer { answer: "5500, and 5577".into() };
    let mut case = Case::new("tunduk-2018");
    case.refuses(Party::Operator, answer(), "joining.no_question");
    case.refuses(Party::Operator, ask(), "joining.not_yours");
    case.refuses(Party::Applicant, Act::Ask { question: " ".into() }, "joining.no_explanation");
    case.submit();
    let (stage, deadline) = (case.procedure.stage(), case.deadline());
    case.applicant(ask()).applicant(ask());
    assert!(case.procedure.has_open_question());
    case.refuses(Party::Applicant, answer(), "joining.not_yours");
    case.operator(answer());
    assert!(!case.procedure.has_open_question());
    assert_eq!((case.procedure.stage(), case.deadline()), (stage, deadline), "no clock goes by that");
    for _ in 2..100 {
        case.applicant(ask());
    }
    case.refuses(Party::Applicant, ask(), "joining.too_many_questions");
    case.operator(answer()).applicant(Act::Withdraw);
    case.refuses(Party::Applicant, ask(), "joining.wrong_stage");

    let mut ready = Case::new("uz-iip");
    ready.approve().sign().agree().prepare().applicant(certificates());
    ready
        .operator(Act::VerifyCertificates { mismatches: Vec::new() })
        .operator(Act::RegisterCertificates)
        .operator(Act::ConfirmConnection { record: text("call") })
        .operator(Act::ConfirmCatalog)
        .applicant(ask())
        .operator(answer());
    assert_eq!(ready.procedure.stage(), Stage::Ready);
}

#[test]
fn attachments_belong_to_what_is_signed() {
    let attach = |title: &str, file: &[u8]| Act::Attach(Attachment::of(title, file).unwrap());
    let mut case = Case::new("tunduk-2018");
    let mut application = case.procedure.application().clone();
    let alone = case.procedure.digest().unwrap();
    let as_before = serde_json::to_vec(&application).unwrap();
    assert_eq!(alone, Sha256::of(&as_before), "without attachments, digests are as they ever were");

    let order = Sha256::of(b"%PDF-1.7 order 12");
    let signed = Act::AttachSignedCopy(SignedCopy::of(alone, b"%PDF-1.7 signed").unwrap());
    case.applicant(signed.clone()).applicant(attach("Order 12", b"%PDF-1.7 order 12"));
    assert_eq!(case.procedure.signed_copy(), None, "the head has not signed that");
    case.refuses(Party::Applicant, signed, "joining.other_application");
    let first = case.procedure.digest().unwrap();
    case.applicant(attach("Order 12 of 1 February 2026", b"%PDF-1.7 order 12"));
    assert_eq!(case.procedure.attachments().len(), 1, "the same file with another title");
    assert_ne!(case.procedure.digest().unwrap(), first);

    // An authority names an attachment that is there.
    application.persons[1].authority.sha256 = Some(order);
    case.applicant(Act::Write(application)).applicant(Act::Detach { file: order });
    let problems = case.procedure.problems(case.profile, date(2026, 3, 2));
    assert_eq!(problems[0].field, "/persons/1/authority/sha256");
    let submission = case.submission();
    case.refuses(Party::Applicant, submission, "joining.incomplete");
    case.refuses(Party::Applicant, Act::Detach { file: order }, "joining.no_such_attachment");
    case.applicant(attach("Order 12", b"%PDF-1.7 order 12"));

    case.refuses(Party::Applicant, attach(" ", b"%PDF-1.7"), "joining.incomplete");
    case.refuses(Party::Operator, attach("List", b"%PDF-1.7"), "joining.not_yours");
    for number in 3..30 {
        case.applicant(attach("List", format!("%PDF-1.7 {number}").as_bytes()));
    }
    case.refuses(Party::Applicant, attach("List", b"%PDF-1.7"), "joining.too_many_attachments");
    case.submit();
    case.refuses(Party::Applicant, Act::Detach { file: order }, "joining.wrong_stage");
}

#[test]
fn a_procedure_of_before_files_can_be_read() {
    let mut case = Case::new("tunduk-2018");
    case.submit();
    let mut kept = serde_json::to_value(&case.procedure).unwrap();
    for later in ["signed_copy", "attachments"] {
        kept.as_object_mut().unwrap().remove(later).unwrap();
    }
    assert_eq!(serde_json::from_value::<Procedure>(kept).unwrap(), case.procedure);
}

#[test]
fn authority_that_is_over_counts_no_more() {
    let mut case = Case::new("tunduk-2018");
    case.on(date(2027, 1, 8));
    let submission = case.submission();
    case.refuses(Party::Applicant, submission, "joining.incomplete");
}

#[test]
fn what_was_submitted_does_not_change_under_the_reviewer() {
    let mut case = Case::new("tunduk-2018");
    case.submit();
    let application = case.procedure.application().clone();
    case.refuses(Party::Applicant, Act::Write(application), "joining.wrong_stage");
}

#[test]
fn each_party_does_its_own() {
    let mut case = Case::new("tunduk-2018");
    let submission = case.submission();
    case.refuses(Party::Operator, submission, "joining.not_yours");
    case.submit();
    case.refuses(Party::Applicant, Act::Review, "joining.not_yours");
    case.operator(Act::Review);
    let review = case.review();
    case.refuses(Party::Applicant, Act::Approve { review }, "joining.not_yours");
}

#[test]
fn nothing_is_skipped() {
    let mut case = Case::new("tunduk-2018");
    for act in [Act::Review, Act::RegisterCertificates, Act::ConfirmCatalog] {
        case.refuses(Party::Operator, act, "joining.wrong_stage");
    }
    case.refuses(Party::Applicant, certificates(), "joining.wrong_stage");
}

#[test]
fn nobody_joins_without_an_information_system() {
    let mut case = Case::new("tunduk-2018");
    let mut application = case.procedure.application().clone();
    application.systems.clear();
    case.applicant(Act::Write(application)).submit().operator(Act::Review);
    let review = case.review();
    case.refuses(Party::Operator, Act::Approve { review }, "joining.no_information_system");
}

#[test]
fn a_review_decides_the_whole_checklist() {
    let mut case = Case::new("tunduk-2018");
    case.submit().operator(Act::Review);
    let whole = case.review();
    let mut short = whole.clone();
    short.items.remove("server");
    case.refuses(Party::Operator, Act::Approve { review: short }, "joining.checklist");
    let mut longer = whole.clone();
    longer.items.insert("colour".into(), true);
    case.refuses(Party::Operator, Act::Approve { review: longer }, "joining.checklist");
    let mut unmet = whole;
    unmet.items.insert("server".into(), false);
    case.refuses(Party::Operator, Act::Approve { review: unmet }, "joining.not_met");
}

#[test]
fn a_refusal_names_a_ground_of_the_law_and_explains_it() {
    let mut case = Case::new("tunduk-2018");
    case.submit().operator(Act::Review);
    let mut review = case.review();
    review.items.insert("services-described".into(), false);
    let refuse = |grounds: &[Ground], explanation: &str| Act::Refuse {
        review: review.clone(),
        grounds: grounds.iter().copied().collect(),
        explanation: explanation.into(),
    };
    case.refuses(Party::Operator, refuse(&[], "No"), "joining.no_ground");
    case.refuses(Party::Operator, refuse(&[Ground::CatalogData], " "), "joining.no_explanation");
    case.operator(refuse(&[Ground::CatalogData], "Two services have no description"));
    assert_eq!((case.procedure.stage(), case.procedure.turn()), (Stage::Refused, Turn::Nobody));
    assert!(case.procedure.days_spent().contains_key(&Phase::Review));
}

#[test]
fn the_agreement_is_signed_by_who_may_and_is_the_same_for_both() {
    let mut case = Case::new("tunduk-2018");
    case.approve();
    let sign = |agreement: Agreement, person: &str| Act::Sign { agreement, person: person.into() };
    let ours = agreement("2026-04-01");
    case.refuses(Party::Applicant, sign(ours.clone(), "C. Choroev"), "joining.not_authorised");
    let backwards = Agreement { expires: Some(date(2026, 3, 31)), ..ours.clone() };
    case.refuses(Party::Applicant, sign(backwards, "A. Asanova"), "joining.agreement_dates");
    case.applicant(sign(ours.clone(), "A. Asanova"));
    assert_eq!(case.procedure.turn(), Turn::Operator);
    case.refuses(Party::Operator, sign(agreement("2026-05-01"), "B. Bekov"), "joining.other_agreement");
    case.operator(sign(ours, "B. Bekov"));
    assert_eq!(case.procedure.stage(), Stage::AgreementSigned);
}

#[test]
fn both_approve_the_same_instructions() {
    let mut case = Case::new("tunduk-2018");
    case.approve().sign().operator(Act::Propose { text: text("first") });
    case.operator(Act::Consent { text: text("first") });
    assert_eq!(case.deadline().timeliness, Timeliness::Paused, "the applicant reads");
    case.applicant(Act::Propose { text: text("second") });
    assert!(case.procedure.instructions().consents.is_empty(), "an edit takes approvals back");
    assert_eq!(case.procedure.turn(), Turn::Operator);
    case.refuses(Party::Operator, Act::Consent { text: text("first") }, "joining.other_text");
    case.applicant(Act::Consent { text: text("second") }).operator(Act::Consent { text: text("second") });
    assert_eq!(case.procedure.stage(), Stage::InstructionsAgreed);
}

#[test]
fn certificates_of_server_and_system_fit_the_application() {
    let mut case = Case::new("tunduk-2018");
    case.approve().sign().agree().prepare();
    let without_server = Act::SubmitCertificates { authentication: None, signing: [text("sign")].into() };
    case.refuses(Party::Applicant, without_server, "joining.certificate_missing");
    let without_system = Act::SubmitCertificates { authentication: Some(text("a")), signing: [].into() };
    case.refuses(Party::Applicant, without_system, "joining.certificate_missing");
    case.applicant(certificates());
    let mismatches = vec!["code: 70000002 instead of 70000001".to_owned()];
    case.refuses(Party::Operator, Act::VerifyCertificates { mismatches }, "joining.certificate_mismatch");
}

#[test]
fn it_is_stored_as_it_is() {
    let mut case = Case::new("tunduk-2018");
    case.approve().sign();
    let json = serde_json::to_string(&case.procedure).unwrap();
    assert_eq!(serde_json::from_str::<Procedure>(&json).unwrap(), case.procedure);
    let printed = case.procedure.digest().unwrap();
    let mut changed = case.procedure.application().clone();
    changed.address.push('!');
    assert_ne!(Procedure::new(changed).digest().unwrap(), printed, "a signed form is of one content");
}

#[test]
fn an_agreement_ends_by_a_declaration_of_either_party() {
    let terminate = |explanation: &str| Act::Terminate { explanation: explanation.to_owned() };
    let mut case = Case::new("tunduk-2018");
    case.refuses(Party::Operator, terminate("No more"), "joining.wrong_stage");
    case.approve();
    case.refuses(Party::Applicant, terminate("No more"), "joining.wrong_stage");
    case.sign();
    case.refuses(Party::Applicant, terminate(" "), "joining.no_explanation");
    case.applicant(terminate("We merge with another institution on 1 June"));
    assert_eq!((case.procedure.stage(), case.procedure.turn()), (Stage::Terminated, Turn::Nobody));
    case.refuses(Party::Operator, terminate("Again"), "joining.wrong_stage");
    case.refuses(Party::Applicant, Act::Withdraw, "joining.wrong_stage");

    let mut ready = Case::new("uz-iip");
    ready.approve().sign().agree().prepare().applicant(certificates());
    ready
        .operator(Act::VerifyCertificates { mismatches: Vec::new() })
        .operator(Act::RegisterCertificates)
        .operator(Act::ConfirmConnection { record: text("call") })
        .operator(Act::ConfirmCatalog)
        .operator(terminate("The requirements are not kept, since 1 May"));
    assert_eq!(ready.procedure.stage(), Stage::Terminated);
    let open: Vec<_> = ready.procedure.gates().into_iter().filter(|gate| gate.passed.is_none()).collect();
    assert_eq!(open.len(), 11, "of what was agreed on nothing counts: {open:?}");
}
