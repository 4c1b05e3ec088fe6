//! The pages: made here whole, without scripts, and doing nothing that the API does not.

mod accesses;
mod application;
mod audit;
mod calendars;
mod catalog;
mod differences;
mod instructions;
mod layout;
mod mail;
mod people;
mod procedure;
mod procedures;
mod public;
mod second_factor;
mod sign_in;
mod vetting;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use maud::{Markup, html};
use uuk_central::vetting::VettingStep;
use uuk_central::{Passed, Person, Step};
use uuk_pki::Sha256;
use uuk_process::Secret;

use self::layout::layout;
pub(crate) use self::public::question;
use crate::config::ContactConfig;
use crate::console::{Asked, Received};
use crate::desk::{AuditQuestion, Desk};
use crate::form;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::texts::Language;
use crate::upload;

/// Sent by browsers over TLS and to this machine only, to this host only, and not from other sites.
const SESSION_COOKIE: &str = "__Host-session";
const LANGUAGE_COOKIE: &str = "language";
const STYLE: &str = include_str!("pages/style.css");
/// The field of a form by which it is known to come from this session.
const FORM_TOKEN: &str = "form_token";

/// Someone looks at a page.
struct Visit {
    language: Language,
    /// Where a choice of language leads back to.
    path: String,
    /// How the operator's people are reached.
    contact: Option<Arc<ContactConfig>>,
    /// Who, and the secret of their session.
    session: Option<(Person, Secret<String>)>,
}

/// A form that came from a page of the same session.
struct Filled {
    content: serde_json::Value,
    others: Vec<(String, String)>,
    /// The file that came with it.
    file: Bytes,
}

pub(crate) async fn answer(desk: &Desk, asked: &Asked, received: Result<Received, Problem>) -> Reply {
    let language = Language::choose(asked.cookie(LANGUAGE_COOKIE), asked.header("accept-language"));
    // What a form was sent to is no page; the one above it is.
    let path = match asked.method == Method::POST {
        true => asked.path.rsplit_once('/').map_or("", |(above, _)| above).to_owned(),
        // What came back from a provider is good for once.
        false if asked.path.starts_with("/openid") => "/sign-in".to_owned(),
        false if asked.query.is_empty() => asked.path.clone(),
        false => format!("{}?{}", asked.path, asked.query),
    };
    let mut visit = Visit { language, path, contact: desk.contact.clone(), session: None };
    match visit.answer(desk, asked, received).await {
        Ok(reply) => reply,
        Err(Problem::NotSignedIn) => Reply::see_other("/sign-in"),
        Err(problem) => {
            problem.log();
            let told = visit.alert(&problem);
            Reply::page(problem.status(), layout(&visit, &visit.text("page/problem"), told))
        }
    }
}

/// Who asks, and the secret of their session.
pub(crate) async fn visitor(desk: &Desk, asked: &Asked) -> Result<Option<(Person, Secret<String>)>, Problem> {
    let Some(shown) = asked.cookie(SESSION_COOKIE) else { return Ok(None) };
    let person = desk.central.session(shown).await?;
    Ok(person.map(|person| (person, Secret::new(shown.to_owned()))))
}

impl Visit {
    async fn answer(
        &mut self,
        desk: &Desk,
        asked: &Asked,
        received: Result<Received, Problem>,
    ) -> Result<Reply, Problem> {
        self.session = visitor(desk, asked).await?;
        let _received = received?;
        let segments = asked.segments();
        if asked.method == Method::POST {
            let form = self.read_form(asked, &segments)?;
            return self.post(desk, &segments, form).await;
        }
        if asked.method != Method::GET && asked.method != Method::HEAD {
            return Err(Problem::Method { allowed: "GET, POST".to_owned() });
        }
        match segments.as_slice() {
            ["style.css"] => return Ok(Reply::new(StatusCode::OK, "text/css; charset=utf-8", STYLE)),
            ["language", code] => return Ok(choose_language(code, &asked.query)),
            ["sign-in"] => return Ok(self.page("page/sign_in", sign_in::form(self, desk, None))),
            ["invitation"] => {
                return Ok(self.page("page/invitation", sign_in::invitation(self, desk, None)));
            }
            ["openid"] => return sign_in::depart(self, desk, None).await,
            ["openid", "return"] => return sign_in::arrive(self, desk, asked).await,
            ["catalog", id @ ..] => return public::answer(self, desk, asked, &id.join("/")).await,
            _ => {}
        }
        let person = self.person()?;
        Ok(match segments.as_slice() {
            [] => Reply::see_other("/procedures"),
            ["procedures"] => {
                let cases = desk.procedures(person).await?;
                self.page("page/procedures", procedures::list(self, person, desk, &cases).await?)
            }
            ["procedures", number] => {
                let case = desk.procedure(person, read_number(number)?).await?;
                self.page("page/procedure", procedure::show(self, person, &case, None))
            }
            ["procedures", number, "application"] => {
                let case = desk.procedure(person, read_number(number)?).await?;
                self.page("page/application", application::form(self, &case))
            }
            ["procedures", number, "print"] => {
                let case = desk.procedure(person, read_number(number)?).await?;
                self.page("page/print", application::print(self, &case))
            }
            ["procedures", number, "attachments", file] => {
                Reply::download(desk.attachment(person, read_number(number)?, file).await?)
            }
            ["procedures", number, "signed-copy"] => {
                Reply::download(desk.signed_copy(person, read_number(number)?).await?)
            }
            ["calendars"] => calendars::show(self, desk, person, None).await?,
            ["vetting"] => {
                let submissions = desk.submissions(person).await?;
                self.page("page/vetting", vetting::list(self, person, &submissions, None))
            }
            ["vetting", number] => {
                let view = desk.submission(person, read_number(number)?).await?;
                self.page("page/submission", vetting::show(self, &view, None))
            }
            ["vetting", number, "submitted"] => {
                Reply::download(desk.submitted_file(person, read_number(number)?).await?)
            }
            ["vetting", number, "vetted"] => {
                Reply::download(desk.vetted_file(person, read_number(number)?).await?)
            }
            [page @ ("services" | "systems" | "accesses"), id @ ..] => {
                catalog::show(self, desk, person, (page, &id.join("/")), None).await?
            }
            ["second-factor"] => {
                let parts = [second_factor::show(self, person, None), mail::form(self, person, None)];
                self.page("page/second_factor", html! { @for part in parts { (part) } })
            }
            ["people"] => {
                let people = desk.people(person).await?;
                let unsent = mail::unsent(self, &desk.letters(person).await?);
                let people = people::list(self, person, &people, None);
                self.page("page/people", html! { (people) (unsent) })
            }
            ["audit"] => {
                let question = AuditQuestion::read(&asked.query)?;
                let page = desk.audit(person, &question).await?;
                self.page("page/audit", audit::show(self, &question, &page))
            }
            _ => return Err(Problem::NoSuchPage),
        })
    }

    async fn post(&self, desk: &Desk, segments: &[&str], form: Filled) -> Result<Reply, Problem> {
        match segments {
            ["sign-in"] => {
                let password = Secret::new(form.field("password"));
                return match desk.central.sign_in(&form.field("name"), password, &form.field("code")).await {
                    Ok(passed) => Ok(Reply::see_other("/procedures").cookie(&let_in(&passed))),
                    Err(error) => {
                        self.again(error.into(), |problem| sign_in::form(self, desk, Some(problem)))
                    }
                };
            }
            ["invitation"] => {
                let password = Secret::new(form.field("password"));
                return match desk.central.accept_invitation(form.field("invitation").trim(), password).await {
                    Ok(passed) => Ok(Reply::see_other("/procedures").cookie(&let_in(&passed))),
                    Err(error) => {
                        self.again(error.into(), |problem| sign_in::invitation(self, desk, Some(problem)))
                    }
                };
            }
            ["invitation", "openid"] => {
                return match sign_in::depart(self, desk, Some(&form)).await {
                    Ok(reply) => Ok(reply),
                    Err(problem @ Problem::NoSuchPage) => Err(problem),
                    Err(problem) => {
                        self.again(problem, |problem| sign_in::invitation(self, desk, Some(problem)))
                    }
                };
            }
            _ => {}
        }
        let person = self.person()?;
        match segments {
            ["sign-out"] => {
                if let Some((_, session)) = &self.session {
                    desk.central.sign_out(session.expose()).await?;
                }
                let gone = format!("{SESSION_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
                Ok(Reply::see_other("/sign-in").cookie(&gone))
            }
            ["procedures"] => {
                let case = desk.begin(person, &form.content()?).await?;
                Ok(Reply::see_other(&format!("/procedures/{}/application", case.number)))
            }
            ["procedures", number, act] => {
                let number = read_number(number)?;
                let mut stays = false;
                let done = match *act {
                    "attachments" => {
                        let title = form.field("title");
                        desk.attach(person, number, &title, form.file).await
                    }
                    "signed-copy" => {
                        let application = form.field("application");
                        desk.attach_signed_copy(person, number, &application, form.file).await
                    }
                    act => {
                        let step = form.step(act)?;
                        stays = matches!(step, Step::Write { .. });
                        desk.step(person, number, step).await
                    }
                };
                match done {
                    Ok(_) if stays => Ok(Reply::see_other(&format!("/procedures/{number}/application"))),
                    Ok(_) => Ok(Reply::see_other(&format!("/procedures/{number}"))),
                    Err(problem @ (Problem::Joining(_) | Problem::Malformed { .. })) => {
                        problem.log();
                        let case = desk.procedure(person, number).await?;
                        let page = procedure::show(self, person, &case, Some(&problem));
                        Ok(self.titled(problem.status(), "page/procedure", page))
                    }
                    Err(problem) => Err(problem),
                }
            }
            ["calendars", country] => calendars::post(self, desk, person, country, form).await,
            ["vetting"] => match desk.submit(person, form.file).await {
                Ok(view) => Ok(Reply::see_other(&format!("/vetting/{}", view.submission.number))),
                Err(problem @ Problem::Vetting(_)) => {
                    problem.log();
                    let submissions = desk.submissions(person).await?;
                    let page = vetting::list(self, person, &submissions, Some(&problem));
                    Ok(self.titled(problem.status(), "page/vetting", page))
                }
                Err(problem) => Err(problem),
            },
            ["vetting", number, act] => {
                let number = read_number(number)?;
                let done = match form.vetting_step(act) {
                    Ok(step) => desk.vet(person, number, step).await,
                    Err(problem) => Err(problem),
                };
                match done {
                    Ok(_) => Ok(Reply::see_other(&format!("/vetting/{number}"))),
                    Err(problem @ (Problem::Vetting(_) | Problem::Malformed { .. })) => {
                        problem.log();
                        let view = desk.submission(person, number).await?;
                        let page = vetting::show(self, &view, Some(&problem));
                        Ok(self.titled(problem.status(), "page/submission", page))
                    }
                    Err(problem) => Err(problem),
                }
            }
            ["services" | "systems" | "accesses", ..] => {
                catalog::post(self, desk, person, segments, form).await
            }
            ["second-factor", act] => match second_factor::post(self, desk, person, act, &form).await {
                Ok(page) => Ok(self.page("page/second_factor", page)),
                Err(problem @ Problem::People(_)) => {
                    problem.log();
                    let page = second_factor::again(self, person, act, &problem);
                    Ok(self.titled(problem.status(), "page/second_factor", page))
                }
                Err(problem) => Err(problem),
            },
            ["mail"] => match async { desk.set_mail(person, form.content()?).await }.await {
                Ok(_) => Ok(Reply::see_other("/second-factor")),
                Err(problem @ (Problem::People(_) | Problem::Malformed { .. })) => {
                    problem.log();
                    let page = mail::form(self, person, Some(&problem));
                    Ok(self.titled(problem.status(), "page/second_factor", page))
                }
                Err(problem) => Err(problem),
            },
            ["people"] => {
                let invited = match form.content() {
                    Ok(invitation) => desk.invite(person, invitation).await,
                    Err(problem) => Err(problem),
                };
                let people = desk.people(person).await?;
                let status = invited.as_ref().map_or_else(Problem::status, |_| StatusCode::OK);
                let page = people::list(self, person, &people, Some(&invited));
                Ok(self.titled(status, "page/people", page))
            }
            ["people", name, "dismiss"] => {
                desk.dismiss(person, name).await?;
                Ok(Reply::see_other("/people"))
            }
            _ => Err(Problem::NoSuchPage),
        }
    }

    /// A form, if it comes from a page of ours; of a session, from a page of the same one.
    fn read_form(&self, asked: &Asked, segments: &[&str]) -> Result<Filled, Problem> {
        let form = match segments {
            ["vetting"] | ["services", .., "contract"] | ["procedures", _, "attachments" | "signed-copy"] => {
                Filled::with_file(asked)?
            }
            _ => {
                asked.check_type("application/x-www-form-urlencoded")?;
                let (content, others) = form::read(&asked.body);
                Filled { content, others, file: Bytes::new() }
            }
        };
        let is_ours = match asked.header("sec-fetch-site") {
            Some(site) => matches!(site, "same-origin" | "none"),
            // Older browsers say it in another way.
            None => asked.header("origin").is_none_or(|origin| {
                origin.split_once("://").is_some_and(|(_, site)| asked.header("host") == Some(site))
            }),
        };
        let needs_token = !matches!(segments, ["sign-in"] | ["invitation", ..]);
        let token = self.session.as_ref().map(|(_, session)| form_token(session));
        match is_ours && (!needs_token || token.is_none() || token == Some(form.field(FORM_TOKEN))) {
            true => Ok(form),
            false => Err(Problem::Forged),
        }
    }

    fn person(&self) -> Result<&Person, Problem> {
        self.session.as_ref().map(|(person, _)| person).ok_or(Problem::NotSignedIn)
    }

    fn text(&self, key: &str) -> String {
        self.language.text(key)
    }

    fn page(&self, title: &str, content: Markup) -> Reply {
        self.titled(StatusCode::OK, title, content)
    }

    fn titled(&self, status: StatusCode, title: &str, content: Markup) -> Reply {
        Reply::page(status, layout(self, &self.text(title), content))
    }

    /// The page from which something was refused.
    fn again(&self, problem: Problem, page: impl FnOnce(&Problem) -> Markup) -> Result<Reply, Problem> {
        problem.log();
        Ok(self.titled(problem.status(), "page/sign_in", page(&problem)))
    }

    /// What is wrong, for people.
    fn alert(&self, problem: &Problem) -> Markup {
        let told = self.language.text_or(&format!("problem/{}", problem.code()), &problem.to_string());
        html! {
            div.alert role="alert" {
                p { (told) }
                p.code { (problem.code()) @if let Some(culprit) = problem.culprit() { ": " (culprit) } }
            }
        }
    }

    /// The hidden field that belongs into every form of a session.
    fn form_token(&self) -> Markup {
        let token = self.session.as_ref().map(|(_, session)| form_token(session));
        html! { @if let Some(token) = token { input type="hidden" name=(FORM_TOKEN) value=(token); } }
    }
}

impl Filled {
    /// A form with a file.
    fn with_file(asked: &Asked) -> Result<Self, Problem> {
        const EXPECTED: &str = "multipart/form-data";
        asked.check_type(EXPECTED)?;
        let content_type = asked.header("content-type").unwrap_or_default();
        let fields = upload::fields(content_type, &asked.body);
        let mut fields = fields.ok_or(Problem::MediaType { expected: EXPECTED })?;
        let is_file = |name: &str| matches!(name, "bundle" | "contract" | "attachment" | "signed_copy");
        let of_file = fields.iter().position(|(name, _)| is_file(name));
        let file = of_file.map(|index| fields.swap_remove(index).1).unwrap_or_default();
        let text = |(name, value): (String, Bytes)| (name, String::from_utf8_lossy(&value).into_owned());
        let others = fields.into_iter().map(text).collect();
        Ok(Self { content: serde_json::Value::Null, others, file })
    }

    fn field(&self, name: &str) -> String {
        let found = self.others.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn content<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_value(self.content.clone())
            .map_err(|error| Problem::Malformed { reason: error.to_string().chars().take(300).collect() })
    }

    /// The step of a form that was sent to the address of `act`.
    fn step(mut self, act: &str) -> Result<Step, Problem> {
        let fields = self.content.as_object_mut().ok_or(Problem::Internal)?;
        if act == "approve" {
            // Both decisions are in one form, with what only a refusal needs.
            fields.retain(|name, _| name == "review");
        }
        fields.insert("act".to_owned(), act.into());
        self.content()
    }

    /// The step of a bundle's form that was sent to the address of `act`.
    fn vetting_step(mut self, act: &str) -> Result<VettingStep, Problem> {
        self.content.as_object_mut().ok_or(Problem::Internal)?.insert("act".to_owned(), act.into());
        self.content()
    }
}

/// The cookie of a session that begins.
fn let_in(passed: &Passed) -> String {
    let session = passed.session.expose();
    format!("{SESSION_COOKIE}={session}; Path=/; Secure; HttpOnly; SameSite=Strict")
}

fn choose_language(code: &str, query: &str) -> Reply {
    let language = Language::choose(Some(code), None).code();
    let to = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "to");
    // Only to a page of ours: `//` would begin the name of another host.
    let to = to.map(|(_, to)| to.into_owned()).filter(|to| to.starts_with('/') && !to.starts_with("//"));
    // Browsers read `\` as `/` and leave control characters out.
    let is_odd = |it: char| it == '\\' || it.is_control();
    let to = to.filter(|to| !to.contains(is_odd)).unwrap_or_else(|| "/".to_owned());
    let cookie = format!("{LANGUAGE_COOKIE}={language}; Path=/; SameSite=Lax; Max-Age=31536000");
    Reply::see_other(&to).cookie(&cookie)
}

fn form_token(session: &Secret<String>) -> String {
    Sha256::of(format!("form of {}", session.expose()).as_bytes()).to_string()
}

fn read_number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::NoSuchPage)
}
