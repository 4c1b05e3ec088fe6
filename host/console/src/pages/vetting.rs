use maud::{Markup, html};
use uuk_central::Person;
use uuk_central::vetting::{
    Advisories, Outcome, Report, Submission, SubmissionStage, Terms, Tier, Trial, VettingStepName,
};
use uuk_process::harmless;

use super::Visit;
use crate::authorize::{Action, may};
use crate::problem::Problem;
use crate::vetting_desk::SubmissionView;

pub(super) fn list(
    visit: &Visit,
    person: &Person,
    submissions: &[Submission],
    problem: Option<&Problem>,
) -> Markup {
    html! {
        @if let Some(problem) = problem { p { (visit.text("vetting/not_taken")) } (visit.alert(problem)) }
        @if submissions.is_empty() { p { (visit.text("vetting/none")) } } @else {
            div.wide tabindex="0" { table {
                thead { tr {
                    @for column in ["number", "plugin", "version", "stage", "submitted"] {
                        th scope="col" { (visit.text(&format!("vetting/{column}"))) }
                    }
                } }
                tbody { @for one in submissions.iter().rev() { tr {
                    td { a href={ "/vetting/" (one.number) } { (one.number) } }
                    td { a href={ "/vetting/" (one.number) } { (one.plugin) } }
                    td { (one.version) }
                    td { (visit.text(&format!("vetting_stage/{}", one.stage()))) }
                    td { (one.submitted_at.strftime("%Y-%m-%d")) }
                } } }
            } }
        }
        @if may(person, Action::SubmitBundle) {
            h2 { (visit.text("vetting/submit")) }
            form.narrow method="post" action="/vetting" enctype="multipart/form-data" {
                (visit.form_token())
                label { (visit.text("vetting/file")) input type="file" name="bundle" accept=".asice" required; }
                p { (visit.text("vetting/submit_help")) }
                button type="submit" { (visit.text("vetting/submit")) }
            }
        }
    }
}

pub(super) fn show(visit: &Visit, view: &SubmissionView, problem: Option<&Problem>) -> Markup {
    let submission = &view.submission;
    let number = submission.number;
    html! {
        @if let Some(problem) = problem { (visit.alert(problem)) }
        p.lead { (submission.plugin) " " (submission.version) }
        (standing(visit, view))
        h2 { (visit.text("vetting/bundle")) }
        dl {
            dt { (visit.text("vetting/author")) } dd { (shown(&submission.author)) }
            dt { (visit.text("vetting/submitted")) }
            dd {
                (submission.submitted_at.strftime("%Y-%m-%d %H:%M")) " UTC, " (submission.submitter)
                @if let Some(member) = &submission.member { " (" (member) ")" }
            }
            dt { (visit.text("vetting/digest")) } dd { code { (submission.bundle) } }
            dt { (visit.text("vetting/contents")) } dd { code { (submission.contents) } }
        }
        @if !matches!(view.stage, SubmissionStage::Refused | SubmissionStage::Withdrawn) {
            p { a href={ "/vetting/" (number) "/submitted" } { (visit.text("vetting/download_submitted")) } }
        }
        @if !submission.approvals.is_empty() {
            h2 { (visit.text("vetting/approvals")) }
            ul { @for approval in &submission.approvals {
                li { (approval.full_name) " · " (approval.at.strftime("%Y-%m-%d %H:%M")) " UTC" }
            } }
            @if let Some(Terms { tier, grants }) = &submission.terms {
                dl {
                    dt { (visit.text("vetting/tier")) } dd { (tier) }
                    dt { (visit.text("vetting/grants")) } dd { (grants) }
                }
            }
        }
        @if let Some(report) = &view.findings { (findings(visit, report)) }
        // Last: whoever decides has read what was found.
        @if !view.steps.is_empty() { h2 { (visit.text("procedure/next")) } }
        @for step in &view.steps { (step_form(visit, view, *step)) }
    }
}

/// Where it is, and what came of it.
fn standing(visit: &Visit, view: &SubmissionView) -> Markup {
    let submission = &view.submission;
    html! {
        section.standing aria-label=(visit.text("vetting/stage")) {
            p { strong { (visit.text(&format!("vetting_stage/{}", view.stage))) } }
            @match &submission.outcome {
                Some(Outcome::Refused { explanation, at, .. }) => {
                    p { (at.strftime("%Y-%m-%d")) }
                    blockquote { (explanation) }
                },
                Some(Outcome::Vetted { file, expires, .. }) => {
                    p { (visit.language.fill("vetting/expires", expires.strftime("%Y-%m-%d"))) }
                    @if view.revocation.is_none() {
                        p { a.button href={ "/vetting/" (submission.number) "/vetted" } {
                            (visit.text("vetting/download_vetted"))
                        } }
                    }
                    p.code { (file) }
                },
                _ => {
                    p { (visit.text(&format!("vetting_help/{}", view.stage))) }
                    @if let Some(hindrance) = &view.hindrance { p.wrong { (shown(hindrance)) } }
                }
            }
            @if let Some(revocation) = &view.revocation {
                p.overdue { (visit.language.fill("vetting/revoked", revocation.at.strftime("%Y-%m-%d"))) }
                blockquote { (revocation.reason) }
            }
        }
    }
}

/// The form by which a step is taken.
fn step_form(visit: &Visit, view: &SubmissionView, step: VettingStepName) -> Markup {
    let label = visit.text(&format!("vetting_step/{step}"));
    let text = |name: &str, key: &str, value: &str| {
        html! { label { (visit.text(key)) textarea name=(name) rows="3" maxlength="4000" required { (value) } } }
    };
    let this_bundle = html! { input type="hidden" name="/bundle" value=(view.submission.bundle); };
    let fields = match step {
        VettingStepName::Approve => html! { (this_bundle) (terms(visit, view)) },
        VettingStepName::Refuse => {
            html! { (this_bundle) (text("/explanation", "review/explanation", "")) }
        }
        VettingStepName::Revoke => text("/reason", "vetting/reason", ""),
        VettingStepName::Withdraw => html! {},
    };
    let form = html! {
        form.step method="post" action={ "/vetting/" (view.submission.number) "/" (step) } {
            (visit.form_token())
            h3 { (label) }
            p { (visit.text(&format!("vetting_step_help/{step}"))) }
            (fields)
            button.danger[step != VettingStepName::Approve] type="submit" { (label) }
        }
    };
    match step {
        VettingStepName::Approve => form,
        _ => html! { details { summary { (label) } (form) } },
    }
}

/// For what it is approved: as the first reviewer said, or to be said.
fn terms(visit: &Visit, view: &SubmissionView) -> Markup {
    html! {
        @match &view.submission.terms {
            Some(Terms { tier, grants }) => {
                input type="hidden" name="/tier" value=(tier);
                input type="hidden" name="/grants" value=(grants);
                dl {
                    dt { (visit.text("vetting/tier")) } dd { (tier) }
                    dt { (visit.text("vetting/grants")) } dd { (grants) }
                }
            },
            None => {
                label { (visit.text("vetting/tier"))
                    select name="/tier" { @for (name, Tier { valid_days, .. }) in &view.tiers {
                        option value=(name) { (name) " · " (visit.language.fill("vetting/days", valid_days)) }
                    } }
                }
                label { (visit.text("vetting/grants"))
                    textarea name="/grants" rows="3" maxlength="4000" required {
                        (visit.text("vetting/as_asked"))
                    }
                }
            }
        }
    }
}

/// Lines that the author of a bundle may have chosen: what reviewers see is what is there.
fn shown(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join("\n")
}

/// What a program found, if it looked to the end.
fn findings(visit: &Visit, report: &Report) -> Markup {
    match &report.unexamined {
        None => found(visit, report),
        Some(ending) => html! {
            h2 { (visit.text("vetting/differences")) }
            p.wrong { (visit.text("vetting/unexamined")) }
            pre { (shown(ending)) }
        },
    }
}

fn found(visit: &Visit, report: &Report) -> Markup {
    html! {
        h2 { (visit.text("vetting/differences")) }
        p { @match &report.against {
            Some(version) => (visit.language.fill("vetting/against", version)),
            None => (visit.text("vetting/first")),
        } }
        @if report.differences.is_empty() { p { (visit.text("vetting/no_difference")) } } @else {
            div.wide tabindex="0" { table {
                thead { tr {
                    @for column in ["change", "what", "detail"] {
                        th scope="col" { (visit.text(&format!("vetting/{column}"))) }
                    }
                } }
                tbody { @for difference in &report.differences { tr {
                    td { (visit.text(&format!("change/{}", difference.change))) }
                    td {
                        (shown(&visit.language.text_or(&format!("aspect/{}", difference.what), &difference.what)))
                        " " code { (shown(&difference.name)) }
                    }
                    td { pre.detail { (shown(&difference.detail)) } }
                } } }
            } }
        }
        @if let Some(trial) = &report.trial { (tried(visit, trial)) }
        h2 { (visit.text("vetting/components")) }
        @if report.components.is_empty() { p { (visit.text("vetting/no_components")) } } @else {
            details { summary { (visit.language.fill("vetting/components_count", report.components.len())) }
                ul { @for component in &report.components { li { (shown(&component.name)) " " (shown(&component.version)) } } }
            }
        }
        @match &report.advisories {
            Some(advisories) => (vulnerable(visit, advisories)),
            None => p { (visit.text("vetting/not_looked_up")) },
        }
    }
}

/// What is known to be vulnerable.
fn vulnerable(visit: &Visit, advisories: &Advisories) -> Markup {
    html! {
        p { (visit.language.fill("vetting/advisories", advisories.records)) " · " (advisories.as_of.strftime("%Y-%m-%d")) }
        @if advisories.found.is_empty() { p { (visit.text("vetting/not_vulnerable")) } } @else {
            ul.findings { @for found in &advisories.found { li.wrong {
                (shown(&found.component)) " " (shown(&found.version)) " · " code { (shown(&found.advisory)) } " "
                (shown(&found.summary))
                @if let Some(fixed) = &found.fixed_in { " " (visit.language.fill("vetting/fixed_in", shown(fixed))) }
            } } }
        }
    }
}

fn tried(visit: &Visit, trial: &Trial) -> Markup {
    let verdict = if trial.passed() { "vetting/trial_passed" } else { "vetting/trial_failed" };
    html! {
        h2 { (visit.text("vetting/trial")) }
        p.wrong[!trial.passed()] { (visit.text(verdict)) }
        @if let Some(problem) = &trial.problem { pre { (shown(problem)) } }
        @if !trial.fixtures.is_empty() {
            div.wide tabindex="0" { table {
                thead { tr {
                    @for column in ["fixture", "time", "memory", "host_calls", "answer"] {
                        th scope="col" { (visit.text(&format!("vetting/{column}"))) }
                    }
                } }
                tbody { @for fixture in &trial.fixtures { tr {
                    td { (shown(&fixture.name)) @for problem in &fixture.problems { p.wrong { (shown(problem)) } } }
                    td { (fixture.wall_us.div_ceil(1000)) " ms" }
                    td { (fixture.memory_bytes >> 10) " KiB" }
                    td { (fixture.host_calls) }
                    td { (fixture.response_bytes) " B" }
                } } }
            } }
        }
        p { (visit.language.fill("vetting/odd_requests", trial.odd_requests)) }
        ul.findings { @for wrong in &trial.wrong_answers { li { (shown(wrong)) } } }
    }
}
