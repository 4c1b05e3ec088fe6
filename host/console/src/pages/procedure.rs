use maud::{Markup, html};
use uuk_central::joining::{Deadline, Profile, Stage, Turn};
use uuk_central::{Person, StepName};

use super::{Visit, application, catalog, instructions};
use crate::desk::{CaseView, ConnectionTest, Finding};
use crate::problem::Problem;

pub(super) fn show(visit: &Visit, person: &Person, case: &CaseView, problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem { (visit.alert(problem)) }
        p.lead { (visit.language.fill("procedure/of", case.number)) " · " (case.member) }
        (standing(visit, person, case))
        (progress(visit, case))
        @if case.stage == Stage::CertificatesRegistered { (connections(visit, case)) }
        @if !case.steps.is_empty() {
            h2 { (visit.text("procedure/next")) }
            @for step in &case.steps {
                (step_form(visit, person, case, *step))
                @if *step == StepName::Write { (attachments_form(visit, case)) }
                @if *step == StepName::Write && case.problems.is_empty() { (signed_copy_form(visit, case)) }
            }
        }
        h2 { (visit.text("page/application")) }
        p { a href={ "/procedures/" (case.number) "/print" } { (visit.text("application/print")) } }
        @if case.signed_copy.is_some() {
            p { a href={ "/procedures/" (case.number) "/signed-copy" } { (visit.text("signed_copy/download")) } }
        } @else if case.stage != Stage::Draft { p { (visit.text("signed_copy/none")) } }
        (application::summary(visit, case))
        @if let Some(agreement) = &case.agreement {
            h2 { (visit.text("agreement/title")) }
            p { (visit.text("agreement/effective")) " " (agreement.effective)
                @if let Some(expires) = agreement.expires { " – " (expires) } }
            pre { (agreement.text) }
            p.code { (agreement.sha256) }
            ul { @for (party, person) in &agreement.signatures {
                li { (visit.text(&format!("party/{party}"))) ": " (person) }
            } }
        }
        @if let Some(instructions) = &case.instructions {
            h2 { (visit.text("instructions/title")) }
            pre { (instructions.text) }
            p.code { (instructions.sha256) }
            ul { @for party in &instructions.consents {
                li { (visit.language.fill("instructions/consented", visit.text(&format!("party/{party}")))) }
            } }
        }
        (history(visit, case))
    }
}

/// Whose turn it is, and for how long.
fn standing(visit: &Visit, person: &Person, case: &CaseView) -> Markup {
    let mine = match case.turn {
        Turn::Applicant => person.member.is_some(),
        Turn::Operator => person.member.is_none(),
        Turn::Nobody => false,
    };
    let turn = if mine { visit.text("turn/yours") } else { visit.text(&format!("turn/{}", case.turn)) };
    html! {
        section.standing aria-label=(visit.text("procedure/stage")) {
            p { strong { (visit.text(&format!("stage/{}", case.stage))) } }
            p { (turn) }
            @if let Some(deadline) = &case.deadline { (clock(visit, deadline)) }
        }
    }
}

fn clock(visit: &Visit, deadline: &Deadline) -> Markup {
    let phase = visit.text(&format!("phase/{}", deadline.phase));
    html! {
        p.(deadline.timeliness) {
            (phase) ": " (visit.text("clock/days")) " " (deadline.days_spent) " / " (deadline.days_max) ". "
            @if let Some(due) = deadline.due { (visit.language.fill("clock/due", due)) " " }
            (visit.text(&format!("timeliness/{}", deadline.timeliness)))
            @if deadline.provisional { " " (visit.text("clock/provisional")) }
        }
    }
}

/// The gates on the way, and where the procedure is.
fn progress(visit: &Visit, case: &CaseView) -> Markup {
    let next = case.gates.iter().position(|gate| gate.passed.is_none());
    html! {
        ol.progress aria-label=(visit.text("procedure/progress")) {
            @for (index, gate) in case.gates.iter().enumerate() {
                li.passed[gate.passed.is_some()] aria-current=[(next == Some(index)).then_some("step")] {
                    span { (visit.text(&format!("gate/{}", gate.stage))) }
                    @if let Some(at) = gate.passed { time datetime=(at) { (at.strftime("%Y-%m-%d")) } }
                }
            }
        }
    }
}

/// Which of the member's systems have answered.
fn connections(visit: &Visit, case: &CaseView) -> Markup {
    html! {
        h2 { (visit.text("connection/title")) }
        @if case.connections.is_empty() { p { (visit.text("connection/none")) } }
        ul { @for ConnectionTest { system, at, silence } in &case.connections {
            @let time = at.strftime("%Y-%m-%d %H:%M").to_string() + " UTC";
            li {
                code { (system) } ": "
                @match silence {
                    None => { (visit.language.fill("connection/answers", time)) }
                    Some(reason) => {
                        span.wrong { (visit.language.fill("connection/silent", time)) } " " code { (reason) }
                    }
                }
            }
        } }
    }
}

fn history(visit: &Visit, case: &CaseView) -> Markup {
    html! {
        h2 { (visit.text("procedure/history")) }
        @if case.history.is_empty() { p { (visit.text("procedure/nothing")) } }
        ol.history reversed { @for event in case.history.iter().rev() {
            li {
                time datetime=(event.at) { (event.at.strftime("%Y-%m-%d %H:%M")) " UTC" }
                " " strong { (visit.text(&format!("step/{}", event.act.replace('-', "_")))) }
                " · " (event.person) " (" (visit.text(&format!("party/{}", event.party))) ")"
                @if let Some(explanation) = &event.explanation { blockquote { (explanation) } }
            }
        } }
    }
}

/// The files that belong to the application, each to be removed, and the form that adds one.
fn attachments_form(visit: &Visit, case: &CaseView) -> Markup {
    let of_case = format!("/procedures/{}", case.number);
    html! {
        div.step {
            h3 { (visit.text("attachment/title")) }
            p { (visit.text("help/attach")) }
            ul { @for attachment in &case.attachments {
                li {
                    form method="post" action={ (of_case) "/detach" } {
                        (visit.form_token())
                        input type="hidden" name="/file" value=(attachment.file);
                        (attachment.title) " "
                        button.danger type="submit" { (visit.text("step/detach")) }
                    }
                }
            } }
            form method="post" enctype="multipart/form-data" action={ (of_case) "/attachments" } {
                (visit.form_token())
                label { (visit.text("attachment/name")) input name="title" maxlength="1000" required; }
                (file_field(visit, "attachment"))
                button type="submit" { (visit.text("step/attach")) }
            }
        }
    }
}

fn file_field(visit: &Visit, name: &str) -> Markup {
    html! {
        label { (visit.text("attachment/file"))
            input type="file" name=(name) accept="application/pdf,image/jpeg,image/png" required; }
    }
}

/// The form by which the printed and signed application comes back.
fn signed_copy_form(visit: &Visit, case: &CaseView) -> Markup {
    html! {
        form.step method="post" enctype="multipart/form-data" action={ "/procedures/" (case.number) "/signed-copy" } {
            (visit.form_token())
            h3 { (visit.text("step/attach_signed_copy")) }
            p { (visit.text("help/attach_signed_copy")) }
            input type="hidden" name="application" value=(case.application_sha256);
            (file_field(visit, "signed_copy"))
            button type="submit" { (visit.text("step/attach_signed_copy")) }
        }
    }
}

/// The form by which a step is taken.
fn step_form(visit: &Visit, person: &Person, case: &CaseView, step: StepName) -> Markup {
    let label = visit.text(&format!("step/{step}"));
    let action = format!("/procedures/{}/{step}", case.number);
    let fields = match step {
        StepName::Write => {
            let to = format!("/procedures/{}/application", case.number);
            return html! { p { a.button href=(to) { (label) } } };
        }
        StepName::Ask | StepName::Withdraw | StepName::Terminate => {
            return html! {
                details { summary { (label) }
                    form method="post" action=(action) {
                        (visit.form_token())
                        p { (visit.text(&format!("help/{step}"))) }
                        @if step == StepName::Ask {
                            label { (visit.text("help/question")) textarea name="/question" rows="4" required {} }
                        }
                        @if step == StepName::Terminate {
                            label { (visit.text("help/why_and_when")) textarea name="/explanation" rows="4" required {} }
                        }
                        button.danger[step != StepName::Ask] type="submit" { (label) }
                    }
                }
            };
        }
        StepName::Approve => return decision(visit, case),
        // In the form of the decision, and beside each attachment.
        StepName::Refuse | StepName::Detach => return html! {},
        StepName::Submit => html! {
            @if !case.problems.is_empty() { p.wrong { (visit.language.fill("help/incomplete", case.problems.len())) } }
            input type="hidden" name="/application" value=(case.application_sha256);
        },
        StepName::Sign => agreement(visit, person, case),
        StepName::Propose => {
            let drafted = || instructions::draft(visit, case);
            let text = case.instructions.as_ref().map_or_else(drafted, |it| it.text.clone());
            html! { label { (visit.text("instructions/title")) textarea name="/text" rows="24" required { (text) } } }
        }
        StepName::Consent => html! {
            @if let Some(instructions) = &case.instructions {
                input type="hidden" name="/text" value=(instructions.sha256);
            }
        },
        StepName::ReportHost => html! {
            label { (visit.text("help/report")) textarea name="/report" rows="6" required {} }
        },
        StepName::SubmitCertificates => html! {
            label { (visit.text("certificate/authentication"))
                textarea.pem name="/authentication" rows="6" required placeholder="-----BEGIN CERTIFICATE-----" {} }
            @for index in 0..3 {
                label { (visit.text("certificate/signing"))
                    textarea.pem name={ "/signing/" (index) } rows="6" required[index == 0] {} }
            }
        },
        StepName::VerifyCertificates => html! {
            @if case.certificate_findings.is_empty() { p { (visit.text("certificate/fit")) } }
            ul.findings { @for finding in &case.certificate_findings {
                li { (finding.finding) " " span.code { (finding.certificate) } }
            } }
        },
        StepName::ConfirmCatalog => findings(visit, case),
        StepName::Return | StepName::RejectCertificates => html! {
            label { (visit.text("review/explanation")) textarea name="/explanation" rows="4" required {} }
        },
        StepName::Answer => html! {
            @for question in open_questions(case) { blockquote { (question) } }
            label { (visit.text("help/your_answer")) textarea name="/answer" rows="4" required {} }
        },
        StepName::ConfirmConnection => html! {
            label { (visit.text("help/record")) input name="/record" pattern="sha256:[0-9a-f]{64}" required; }
        },
        _ => html! {},
    };
    html! {
        form.step method="post" action=(action) {
            (visit.form_token())
            h3 { (label) }
            @if let Some(help) = visit.language.find(&format!("help/{step}")) { p { (help) } }
            (fields)
            button type="submit" { (label) }
        }
    }
}

/// What was asked since the last answer.
fn open_questions(case: &CaseView) -> impl Iterator<Item = &String> {
    let answered = case.history.iter().rposition(|event| event.act == "answer").map_or(0, |place| place + 1);
    let since = case.history.iter().skip(answered).filter(|event| event.act == "ask");
    since.filter_map(|event| event.explanation.as_ref())
}

/// The checklist, and both decisions that it can lead to.
fn decision(visit: &Visit, case: &CaseView) -> Markup {
    let Some(profile) = Profile::of(case.profile) else { return html! {} };
    let action = |step: StepName| format!("/procedures/{}/{step}", case.number);
    html! {
        form.step method="post" action=(action(StepName::Approve)) {
            (visit.form_token())
            h3 { (visit.text("review/title")) }
            (findings(visit, case))
            p { (visit.text("review/checklist")) " " (profile.id) ", " (profile.version) }
            @for item in &profile.checklist {
                @let name = format!("/review/items/{}:truth", item.id);
                fieldset.item {
                    legend { (visit.language.text_or(&format!("checklist/{}", item.id), &item.text)) }
                    label.check { input type="radio" name=(name) value="yes" required; (visit.text("review/met")) }
                    label.check { input type="radio" name=(name) value="no" required; (visit.text("review/not_met")) }
                }
            }
            button type="submit" { (visit.text("step/approve")) }
            fieldset {
                legend { (visit.text("step/refuse")) }
                @for (index, (ground, text)) in profile.grounds.iter().enumerate() {
                    label.check {
                        input type="checkbox" name={ "/grounds/" (index) } value=(ground)
                            checked[case.findings.iter().any(|finding| finding.ground() == *ground)];
                        (visit.language.text_or(&format!("ground/{ground}"), text))
                    }
                }
                label { (visit.text("review/explanation")) textarea name="/explanation" rows="4" {} }
                button.danger type="submit" formaction=(action(StepName::Refuse)) { (visit.text("step/refuse")) }
            }
        }
    }
}

/// What speaks against the applicant; whoever decides has the last word.
fn findings(visit: &Visit, case: &CaseView) -> Markup {
    html! {
        @for finding in &case.findings {
            @match finding {
                Finding::Submitter { person } => p.wrong { (visit.language.fill("review/submitter", person)) },
                Finding::Draft { service, flaws } => {
                    p.wrong { (visit.language.fill("review/draft", service)) }
                    ul { @for flaw in flaws { li { (catalog::told_with_place(visit, flaw)) } } }
                }
            }
        }
    }
}

/// The agreement to sign: as the other party signed it, or to be written.
fn agreement(visit: &Visit, person: &Person, case: &CaseView) -> Markup {
    html! {
        @match &case.agreement {
            Some(agreement) => {
                input type="hidden" name="/text" value=(agreement.text);
                input type="hidden" name="/effective" value=(agreement.effective);
                @if let Some(expires) = agreement.expires { input type="hidden" name="/expires" value=(expires); }
            },
            None => {
                label { (visit.text("agreement/title"))
                    textarea name="/text" rows="12" required { (visit.language.fill("agreement/draft", &case.member)) } }
                label { (visit.text("agreement/effective")) input type="date" name="/effective" required; }
                label { (visit.text("agreement/expires")) input type="date" name="/expires:optional"; }
            }
        }
        p { (visit.language.fill("agreement/signer", &person.full_name)) }
    }
}
