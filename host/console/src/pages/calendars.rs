use std::collections::BTreeMap;

use http::StatusCode;
use jiff::civil::Date;
use maud::{Markup, html};
use serde_json::{Value, json};
use uuk_central::Person;
use uuk_central::joining::{Calendar, CalendarTables, YearTable};

use super::layout::layout;
use super::{Filled, Visit, differences};
use crate::authorize::{Action, may};
use crate::desk::Desk;
use crate::problem::Problem;
use crate::reply::Reply;

/// What was refused of a country, and the tables that somebody wrote.
#[derive(Clone, Copy)]
pub(super) struct Refused<'a> {
    country: &'a str,
    problem: &'a Problem,
    written: &'a Value,
}

/// The working days of every country; for those who may write them, to be written.
pub(super) async fn show(
    visit: &Visit,
    desk: &Desk,
    person: &Person,
    refused: Option<Refused<'_>>,
) -> Result<Reply, Problem> {
    let now = desk.central.clock().now();
    let calendars = desk.calendars(person).await?;
    let content = html! {
        p { (visit.text("calendar/purpose")) }
        @for calendar in calendars.iter() {
            @let country = &calendar.tables().country;
            @let refused = refused.filter(|refused| refused.country == country);
            h2 #(country) { (visit.language.text_or(&format!("country/{country}"), country)) }
            @if let Some(Refused { problem, written, .. }) = refused {
                (visit.alert(problem))
                @if differences::is_overtaken(problem) {
                    (differences::overtaken(visit, written, &json!(calendar.tables())))
                }
            }
            @match may(person, Action::EditCalendar) {
                true => (form(visit, calendar, refused.map(|refused| refused.written), calendar.today(now))),
                false => (read_only(visit, calendar.tables())),
            }
        }
    };
    let status = refused.map_or(StatusCode::OK, |refused| refused.problem.status());
    Ok(Reply::page(status, layout(visit, &visit.text("page/calendars"), content)))
}

/// Writes a calendar as a form says; what is refused stays in the form.
pub(super) async fn post(
    visit: &Visit,
    desk: &Desk,
    person: &Person,
    country: &str,
    mut form: Filled,
) -> Result<Reply, Problem> {
    if let Some(tables) = form.content.get_mut("tables").and_then(Value::as_object_mut) {
        tables.insert("country".to_owned(), country.into());
    }
    let done = match form.content() {
        Ok(draft) => desk.set_calendar(person, &draft).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(_) => Ok(Reply::see_other(&format!("/calendars#{country}"))),
        Err(problem @ (Problem::Calendar(_) | Problem::Malformed { .. })) => {
            problem.log();
            let written = form.content.get("tables").unwrap_or(&Value::Null);
            show(visit, desk, person, Some(Refused { country, problem: &problem, written })).await
        }
        Err(problem) => Err(problem),
    }
}

fn read_only(visit: &Visit, tables: &CalendarTables) -> Markup {
    html! {
        dl {
            dt { (visit.text("calendar/every_year")) }
            dd { (tables.days_off.join(", ")) }
            @for year in tables.years.iter().rev() {
                dt { (year.year) @if !year.complete { " (" (visit.text("calendar/incomplete")) ")" } }
                dd {
                    (year.days_off.join(", "))
                    @if !year.working_days.is_empty() {
                        " " (visit.text("calendar/working_days")) ": " (year.working_days.join(", "))
                    }
                }
            }
        }
    }
}

/// The tables in fields: as somebody wrote them, or else as they are, with a place for this year and the next.
fn form(visit: &Visit, calendar: &Calendar, written: Option<&Value>, today: Date) -> Markup {
    let tables = written.cloned().unwrap_or_else(|| json!(with_coming_years(calendar.tables(), today)));
    let country = &calendar.tables().country;
    let years = tables.get("years").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let offset = tables.get("utc_offset_hours").and_then(Value::as_i64);
    html! {
        form method="post" action={ "/calendars/" (country) } {
            (visit.form_token())
            input type="hidden" name="/replaces" value=(calendar.digest());
            label { (visit.text("calendar/every_year"))
                textarea name="/tables/days_off:lines" rows="4" aria-describedby={ "days-" (country) } { (lines(tables.get("days_off"))) }
            }
            p id={ "days-" (country) } { (visit.text("calendar/every_year_hint")) }
            @for (index, year) in years.iter().enumerate() {
                @let number = year.get("year").and_then(Value::as_i64).unwrap_or_default();
                // What is long over is out of the way, but still sent.
                details open[number >= i64::from(today.year())] {
                    summary { (number) }
                    (year_fields(visit, &format!("/tables/years/{index}"), year, number))
                }
            }
            label { (visit.text("calendar/offset"))
                input type="number" name="/tables/utc_offset_hours:number" min="-12" max="14" required
                    value=(offset.map(|hours| hours.to_string()).unwrap_or_default());
            }
            button type="submit" { (visit.text("calendar/keep")) }
        }
    }
}

fn year_fields(visit: &Visit, place: &str, year: &Value, number: i64) -> Markup {
    html! {
        input type="hidden" name={ (place) "/year:number" } value=(number);
        label { (visit.text("calendar/days_off"))
            textarea name={ (place) "/days_off:lines" } rows="4" placeholder={ (number) "-05-27" } { (lines(year.get("days_off"))) }
        }
        label { (visit.text("calendar/working_days"))
            textarea name={ (place) "/working_days:lines" } rows="3" { (lines(year.get("working_days"))) }
        }
        label.check {
            input type="checkbox" name={ (place) "/complete:truth" } value="yes" checked[year.get("complete") == Some(&Value::Bool(true))];
            (visit.text("calendar/complete"))
        }
    }
}

/// What is known, newest year first, with this year and the next even if nothing is known of them.
fn with_coming_years(tables: &CalendarTables, today: Date) -> CalendarTables {
    let mut years: BTreeMap<i16, YearTable> =
        tables.years.iter().map(|table| (table.year, table.clone())).collect();
    for year in [today.year(), today.year().saturating_add(1)] {
        let blank = YearTable { year, days_off: Vec::new(), working_days: Vec::new(), complete: false };
        years.entry(year).or_insert(blank);
    }
    CalendarTables { years: years.into_values().rev().collect(), ..tables.clone() }
}

fn lines(list: Option<&Value>) -> String {
    let texts = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join("\n")
}
