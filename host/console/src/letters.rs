//! What letters say.

use uuk_central::{Letter, Notice};

use crate::desk::party;
use crate::texts::Language;

/// A letter as its reader gets it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// Writes a letter out in its reader's language, with a link to the pages at `pages`.
pub(crate) fn write(letter: &Letter, pages: &str) -> Written {
    let person = &letter.person;
    let language = Language::choose(person.language.as_deref(), None);
    let Told { subject, lines, path } = tell(&letter.notice, language, &party(person).to_string());
    let greeting = language.fill("letter/greeting", &person.full_name);
    let foot = language.text("letter/foot");
    let text = format!("{greeting}\n\n{}\n\n{pages}{path}\n\n{foot}\n", lines.join("\n"));
    Written { subject, text }
}

/// In a line, for the list of letters.
pub(crate) fn subject(notice: &Notice, language: Language) -> String {
    tell(notice, language, "").subject
}

struct Told {
    subject: String,
    lines: Vec<String>,
    /// Of the page with all of it.
    path: String,
}

fn tell(notice: &Notice, language: Language, reader: &str) -> Told {
    match notice {
        Notice::Stage { procedure, member, stage, turn } => {
            let turn = match turn.to_string() {
                turn if turn == reader => language.text("turn/yours"),
                turn => language.text(&format!("turn/{turn}")),
            };
            let stage = language.text(&format!("stage/{stage}"));
            let subject = format!("{}: {stage}", language.fill("letter/joining", member));
            Told { lines: vec![subject.clone(), turn], subject, path: format!("/procedures/{procedure}") }
        }
        Notice::Deadline { procedure, member, phase, due, timeliness } => {
            let timeliness = language.text(&format!("timeliness/{timeliness}"));
            let phase = language.text(&format!("phase/{phase}"));
            let subject = format!("{}: {phase}. {timeliness}", language.fill("letter/joining", member));
            let lines = vec![subject.clone(), language.fill("clock/due", due)];
            Told { lines, subject, path: format!("/procedures/{procedure}") }
        }
        Notice::Asked { procedure, member } | Notice::Answered { procedure, member } => {
            let key = if matches!(notice, Notice::Asked { .. }) { "letter/asked" } else { "letter/answered" };
            let subject = language.fill(key, member);
            Told { lines: vec![subject.clone()], subject, path: format!("/procedures/{procedure}") }
        }
        Notice::Edition { service, edition } => {
            let subject = format!("{}: {edition}", language.fill("letter/edition", service));
            let lines = vec![subject.clone(), language.text("letter/edition_meaning")];
            Told { lines, subject, path: format!("/catalog/{service}") }
        }
        Notice::Withdrawn { service } => {
            let subject = language.fill("letter/withdrawn", service);
            let lines = vec![subject.clone(), language.text("letter/withdrawn_meaning")];
            Told { lines, subject, path: "/accesses".to_owned() }
        }
        Notice::Unconfirmed { service, since } => {
            let subject = language.fill("letter/unconfirmed", service);
            let since = language.fill("editor/stale", since.strftime("%Y-%m-%d"));
            let lines = vec![subject.clone(), since, language.text("letter/unconfirmed_meaning")];
            Told { lines, subject, path: format!("/services/{service}") }
        }
        Notice::AccessAsked { access, service, consumer } => {
            let subject = language.fill("letter/access_asked", consumer);
            let lines = vec![subject.clone(), language.fill("access/number", access), service.to_string()];
            Told { lines, subject, path: "/accesses".to_owned() }
        }
        Notice::AccessOverdue { access, service, consumer } => {
            let subject = language.fill("letter/access_overdue", consumer);
            let lines = vec![subject.clone(), language.fill("access/number", access), service.to_string()];
            Told { lines, subject, path: "/accesses".to_owned() }
        }
        Notice::AccessDecided { access, service, granted } => {
            let decided = if *granted { "letter/access_granted" } else { "letter/access_refused" };
            let subject = language.fill(decided, service);
            let lines = vec![subject.clone(), language.fill("access/number", access)];
            Told { lines, subject, path: "/accesses".to_owned() }
        }
    }
}
