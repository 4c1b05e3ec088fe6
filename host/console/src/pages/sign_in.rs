use http::StatusCode;
use maud::{Markup, html};
use uuk_central::Passed;
use uuk_process::Secret;

use super::{Filled, Visit, let_in};
use crate::console::Asked;
use crate::desk::Desk;
use crate::openid::{ATTEMPT_TIME, Departure, OpenId, may_be_invitation};
use crate::problem::Problem;
use crate::reply::Reply;

/// What a browser takes along to the OpenID provider. It comes back from another site, so that a cookie for links of
/// this one only would stay away.
const ATTEMPT_COOKIE: &str = "__Host-openid";

pub(super) fn form(visit: &Visit, desk: &Desk, problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem { (visit.alert(problem)) }
        form.narrow method="post" action="/sign-in" {
            label { (visit.text("person/name"))
                input name="name" autocomplete="username" required autofocus; }
            label { (visit.text("person/password"))
                input name="password" type="password" autocomplete="current-password" required; }
            label { (visit.text("person/code_if_any"))
                input name="code" autocomplete="one-time-code" maxlength="40"; }
            button type="submit" { (visit.text("page/sign_in")) }
        }
        @if let Some(openid) = &desk.openid {
            p { a href="/openid" { (visit.language.fill("openid/sign_in", openid.name())) } }
        }
        p { a href="/invitation" { (visit.text("page/invitation")) } }
    }
}

pub(super) fn invitation(visit: &Visit, desk: &Desk, problem: Option<&Problem>) -> Markup {
    html! {
        @if let Some(problem) = problem { (visit.alert(problem)) }
        form.narrow method="post" action="/invitation" {
            label { (visit.text("person/invitation")) input name="invitation" autocomplete="off" required; }
            label { (visit.text("person/new_password"))
                input name="password" type="password" autocomplete="new-password" minlength="12" required; }
            button type="submit" { (visit.text("person/accept")) }
            @if let Some(openid) = &desk.openid {
                button type="submit" formaction="/invitation/openid" formnovalidate {
                    (visit.language.fill("openid/accept", openid.name()))
                }
            }
        }
    }
}

/// Sends a browser to the OpenID provider: at once, or by a page, since a form of ours leads nowhere else.
pub(super) async fn depart(visit: &Visit, desk: &Desk, form: Option<&Filled>) -> Result<Reply, Problem> {
    let openid = desk.openid.as_ref().ok_or(Problem::NoSuchPage)?;
    let invitation = form.map(|form| form.field("invitation").trim().to_owned());
    if invitation.as_ref().is_some_and(|text| !may_be_invitation(text)) {
        return Err(uuk_central::PeopleError::Invitation.into());
    }
    let Departure { location, attempt } = openid.begin(invitation.as_deref().unwrap_or_default()).await?;
    let reply = match invitation {
        None => Reply::see_other(&location),
        Some(_) => on_the_way(visit, &location, &visit.language.fill("openid/leave", openid.name())),
    };
    Ok(reply.cookie(&attempt_cookie(&attempt, ATTEMPT_TIME)))
}

/// Lets somebody in who comes back from the OpenID provider.
pub(super) async fn arrive(visit: &Visit, desk: &Desk, asked: &Asked) -> Result<Reply, Problem> {
    let openid = desk.openid.as_ref().ok_or(Problem::NoSuchPage)?;
    let gone = attempt_cookie(&Secret::new(String::new()), 0);
    let reply = match passed(desk, openid, asked).await {
        // The session counts for links of this site, so a page of it leads on.
        Ok(passed) => {
            let (reply, session) =
                (on_the_way(visit, "/procedures", &visit.text("openid/enter")), let_in(&passed));
            reply.cookie(&session)
        }
        Err(problem) => {
            problem.log();
            let told =
                html! { (visit.alert(&problem)) p { a href="/sign-in" { (visit.text("page/sign_in")) } } };
            visit.titled(problem.status(), "page/sign_in", told)
        }
    };
    Ok(reply.cookie(&gone))
}

async fn passed(desk: &Desk, openid: &OpenId, asked: &Asked) -> Result<Passed, Problem> {
    let attempt = asked.cookie(ATTEMPT_COOKIE).unwrap_or_default();
    let arrival = openid.finish(attempt, &asked.query, desk.central.clock().now()).await?;
    Ok(match arrival.invitation {
        Some(invitation) => {
            desk.central.accept_invitation_by_openid(invitation.expose(), &arrival.identity).await?
        }
        None => desk.central.sign_in_by_openid(&arrival.identity).await?,
    })
}

/// A page that leads on by itself, and by a link where browsers are told not to.
fn on_the_way(visit: &Visit, location: &str, told: &str) -> Reply {
    let page = html! { p { a href=(location) { (told) } } };
    visit.titled(StatusCode::OK, "page/sign_in", page).header("refresh", &format!("0; url={location}"))
}

fn attempt_cookie(attempt: &Secret<String>, seconds: i64) -> String {
    let attempt = attempt.expose();
    format!("{ATTEMPT_COOKIE}={attempt}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}")
}
