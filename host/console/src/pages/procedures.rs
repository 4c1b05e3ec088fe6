use maud::{Markup, html};
use uuk_central::joining::{Profile, Timeliness};
use uuk_central::{Case, Person};

use super::Visit;
use crate::authorize::{Action, may};
use crate::desk::Desk;
use crate::problem::Problem;

pub(super) async fn list(
    visit: &Visit,
    person: &Person,
    desk: &Desk,
    cases: &[Case],
) -> Result<Markup, Problem> {
    let (calendars, now) = (desk.central.calendars().await?, desk.central.clock().now());
    let mut rows = Vec::new();
    for case in cases {
        let deadline = case.procedure.deadline(case.profile()?, case.calendar(&calendars)?, now);
        rows.push((case, deadline));
    }
    Ok(html! {
        @if rows.is_empty() { p { (visit.text("procedure/none")) } } @else {
            div.wide tabindex="0" { table {
                thead { tr {
                    @for column in ["number", "member", "stage", "turn", "due"] {
                        th scope="col" { (visit.text(&format!("procedure/{column}"))) }
                    }
                } }
                tbody {
                    @for (case, deadline) in rows.iter().rev() {
                        tr {
                            td { a href={ "/procedures/" (case.number) } { (case.number) } }
                            td { a href={ "/procedures/" (case.number) } { (case.member) } }
                            td { (visit.text(&format!("stage/{}", case.procedure.stage()))) }
                            td {
                                (visit.text(&format!("turn/{}", case.procedure.turn())))
                                @if case.procedure.has_open_question() {
                                    " " strong { (visit.text("procedure/question")) }
                                }
                            }
                            td { @if let Some(deadline) = deadline {
                                span.(deadline.timeliness) {
                                    @if let Some(due) = deadline.due { (due) " " }
                                    @if deadline.timeliness != Timeliness::InTime {
                                        (visit.text(&format!("timeliness/{}", deadline.timeliness)))
                                    }
                                }
                            } }
                        }
                    }
                }
            } }
        }
        p { a href="/calendars" { (visit.text("page/calendars")) } }
        @if may(person, Action::BeginProcedure) {
            h2 { (visit.text("procedure/begin")) }
            form.narrow method="post" action="/procedures" {
                (visit.form_token())
                label { (visit.text("procedure/profile"))
                    select name="/profile" {
                        @for profile in Profile::all() {
                            option value=(profile.id) {
                                (visit.language.text_or(&format!("profile/{}", profile.id), &profile.title))
                            }
                        }
                    }
                }
                button type="submit" { (visit.text("procedure/begin")) }
            }
        }
    })
}
