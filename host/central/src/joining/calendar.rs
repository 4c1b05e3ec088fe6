use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::{Offset, TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuk_globalconf::{Malformed, from_toml};
use uuk_pki::Sha256;

/// No deadline is further away, whatever a calendar says.
const DAYS_AHEAD_MAX: u32 = 3660;
/// A century of holidays is fewer.
const DAYS_MAX: usize = 5000;

/// What is known of a country's working days, as people write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarTables {
    /// `KG`.
    pub country: String,
    /// By how many hours its clocks are ahead of UTC.
    pub utc_offset_hours: i8,
    /// Days off of every year: `03-21`.
    #[serde(default)]
    pub days_off: Vec<String>,
    /// What is special about single years.
    #[serde(default)]
    pub years: Vec<YearTable>,
}

/// What is special about a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct YearTable {
    /// Which.
    pub year: i16,
    /// Days off beside weekends and those of every year: `2026-05-27`.
    #[serde(default)]
    pub days_off: Vec<String>,
    /// Days that are worked on although they are at a weekend or off in every year.
    #[serde(default)]
    pub working_days: Vec<String>,
    /// Whether no more will be announced. Until then, what falls into that year is provisional.
    #[serde(default)]
    pub complete: bool,
}

/// The working days of a country.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    tables: CalendarTables,
    zone: TimeZone,
    every_year: BTreeSet<(i8, i8)>,
    years: BTreeMap<i16, Year>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Year {
    days_off: BTreeSet<Date>,
    working_days: BTreeSet<Date>,
    complete: bool,
}

/// Why a calendar cannot be used.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "calendar.")]
#[non_exhaustive]
pub enum CalendarError {
    /// Not TOML of that shape.
    #[error("the calendar cannot be read")]
    Malformed(#[from] Malformed),
    /// No day of a year.
    #[error("`{day}` is no day of every year: write `03-21`")]
    Day {
        /// What stands there.
        day: String,
    },
    /// No date.
    #[error("`{date}` is no date: write `2027-03-21`")]
    Date {
        /// What stands there.
        date: String,
    },
    /// Two tables of one year, of which one would be overlooked.
    #[error("{year} has two tables")]
    YearTwice {
        /// Which.
        year: i16,
    },
    /// More days than years have.
    #[error("more than {max} days")]
    TooLong {
        /// How many there may be.
        max: usize,
    },
    /// In the table of another year, where nobody would look for it.
    #[error("{date} stands in the table of {year}")]
    OtherYear {
        /// The date.
        date: Date,
        /// The table.
        year: i16,
    },
    /// Whether one works on it, nobody could say.
    #[error("{date} is both a day off and a working day")]
    Contradiction {
        /// The date.
        date: Date,
    },
    /// No place on earth.
    #[error("no country is {hours} hours from UTC")]
    Offset {
        /// What stands there.
        hours: i8,
    },
}

impl CalendarError {
    /// The stable code: `calendar.contradiction`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl Calendar {
    /// Reads a calendar in TOML, of the shape that those of this program have.
    ///
    /// # Errors
    /// [`CalendarError`] says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, CalendarError> {
        Self::build(from_toml(text)?)
    }

    /// Makes a calendar of its tables.
    ///
    /// # Errors
    /// [`CalendarError`] says what is wrong with them.
    pub fn build(tables: CalendarTables) -> Result<Self, CalendarError> {
        let of_years = tables.years.iter().map(|table| table.days_off.len() + table.working_days.len() + 1);
        if tables.days_off.len() + of_years.sum::<usize>() > DAYS_MAX {
            return Err(CalendarError::TooLong { max: DAYS_MAX });
        }
        let hours = tables.utc_offset_hours;
        if !(-12..=14).contains(&hours) {
            return Err(CalendarError::Offset { hours });
        }
        let offset = Offset::from_hours(hours).map_err(|_| CalendarError::Offset { hours })?;
        let every_year = tables.days_off.iter().map(|day| day_of_year(day)).collect::<Result<_, _>>()?;
        let mut years = BTreeMap::new();
        for table in &tables.years {
            if years.insert(table.year, table.check()?).is_some() {
                return Err(CalendarError::YearTwice { year: table.year });
            }
        }
        Ok(Self { tables, zone: TimeZone::fixed(offset), every_year, years })
    }

    /// The calendars that this program comes with: of Kyrgyzstan and of Uzbekistan.
    pub fn known() -> &'static [Self] {
        static KNOWN: LazyLock<Vec<Calendar>> = LazyLock::new(|| {
            let files = [include_str!("calendars/kg.toml"), include_str!("calendars/uz.toml")];
            #[expect(
                clippy::expect_used,
                reason = "the texts are part of the program, and a test reads them all"
            )]
            files.map(|text| Calendar::read(text).expect("a calendar of ours")).into()
        });
        &KNOWN
    }

    /// The calendar that this program comes with for a country: `KG` or `UZ`.
    pub fn of(country: &str) -> Option<&'static Self> {
        Self::known().iter().find(|calendar| calendar.tables.country == country)
    }

    /// What it is made of.
    pub fn tables(&self) -> &CalendarTables {
        &self.tables
    }

    /// By which whoever edits it says what they have read.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(&serde_json::to_vec(&self.tables).unwrap_or_default())
    }

    /// Which day it is in that country.
    pub fn today(&self, now: Timestamp) -> Date {
        now.to_zoned(self.zone.clone()).date()
    }

    /// Whether one works on a day.
    pub fn is_working_day(&self, day: Date) -> bool {
        let year = self.years.get(&day.year());
        if year.is_some_and(|year| year.working_days.contains(&day)) {
            return true;
        }
        let is_weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        let is_off = self.every_year.contains(&(day.month(), day.day()))
            || year.is_some_and(|year| year.days_off.contains(&day));
        !is_weekend && !is_off
    }

    /// The working days after `from`, until `to` and with it.
    pub fn working_days(&self, from: Date, to: Date) -> u32 {
        let days = days_after(from).take_while(|day| *day <= to);
        let count = days.filter(|day| self.is_working_day(*day)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The `count`th working day after `from`; `from` itself if `count` is 0.
    pub fn working_day_after(&self, from: Date, count: u32) -> Date {
        let mut working = days_after(from).filter(|day| self.is_working_day(*day));
        let Some(skipped) = count.checked_sub(1) else { return from };
        working.nth(skipped as usize).unwrap_or(Date::MAX)
    }

    /// Whether all days off of the years from `from` to `to` are known. What is counted beyond may change.
    pub fn knows(&self, from: Date, to: Date) -> bool {
        let is_complete = |year| self.years.get(&year).is_some_and(|year| year.complete);
        (from.year()..=to.year()).all(is_complete)
    }
}

impl YearTable {
    fn check(&self) -> Result<Year, CalendarError> {
        let (days_off, working_days) = (self.dates(&self.days_off)?, self.dates(&self.working_days)?);
        match days_off.intersection(&working_days).next() {
            Some(date) => Err(CalendarError::Contradiction { date: *date }),
            None => Ok(Year { days_off, working_days, complete: self.complete }),
        }
    }

    fn dates(&self, texts: &[String]) -> Result<BTreeSet<Date>, CalendarError> {
        let read = |text: &String| match text.parse::<Date>() {
            Ok(date) if date.to_string() != *text => Err(CalendarError::Date { date: shown(text) }),
            Ok(date) if date.year() != self.year => Err(CalendarError::OtherYear { date, year: self.year }),
            Ok(date) => Ok(date),
            Err(_) => Err(CalendarError::Date { date: shown(text) }),
        };
        texts.iter().map(read).collect()
    }
}

/// The month and day of `03-21`.
fn day_of_year(day: &str) -> Result<(i8, i8), CalendarError> {
    // In a leap year, so that the 29th of February is a day.
    match format!("2024-{day}").parse::<Date>() {
        Ok(date) if day.len() == 5 => Ok((date.month(), date.day())),
        _ => Err(CalendarError::Day { day: shown(day) }),
    }
}

/// Of what somebody wrote, as much as is worth repeating.
fn shown(text: &str) -> String {
    text.chars().take(20).collect()
}

fn days_after(from: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(from.tomorrow().ok(), |day| day.tomorrow().ok()).take(DAYS_AHEAD_MAX as usize)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const LEAST: &str = "country = 'XX'\nutc_offset_hours = 5\ndays_off = []\n";

    #[test]
    fn the_calendars_of_this_program_can_be_read() {
        for country in ["KG", "UZ"] {
            assert!(Calendar::of(country).is_some(), "{country}");
        }
        assert!(Calendar::of("XX").is_none());
    }

    #[test]
    fn the_new_year_is_a_week_in_kyrgyzstan_and_a_day_in_uzbekistan() {
        let [kyrgyz, uzbek] = ["KG", "UZ"].map(|country| Calendar::of(country).unwrap());
        let eve = date(2026, 12, 31);
        assert_eq!(kyrgyz.working_day_after(eve, 1), date(2027, 1, 8));
        assert_eq!(uzbek.working_day_after(eve, 1), date(2027, 1, 4));
    }

    #[test]
    fn counts_over_orozo_ait_and_nooruz() {
        let calendar = Calendar::of("KG").unwrap();
        // Thursday the 19th; the 20th is Orozo ait, the 21st Nooruz on a Saturday, which moves nothing.
        assert_eq!(calendar.working_day_after(date(2026, 3, 19), 1), date(2026, 3, 23));
        assert_eq!(calendar.working_days(date(2026, 3, 16), date(2026, 3, 23)), 4);
    }

    #[test]
    fn a_moved_working_day_counts_on_a_weekend() {
        let text = format!(
            "{LEAST}[[years]]\nyear = 2026\ndays_off = ['2026-03-23']\nworking_days = ['2026-03-28']"
        );
        let calendar = Calendar::read(&text).unwrap();
        assert!(!calendar.is_working_day(date(2026, 3, 23)), "a Monday, moved");
        assert!(calendar.is_working_day(date(2026, 3, 28)), "a Saturday, worked on for it");
        assert!(!calendar.is_working_day(date(2027, 3, 28)), "only in that year");
    }

    #[test]
    fn a_day_begins_at_midnight_of_that_country() {
        let calendar = Calendar::of("KG").unwrap();
        assert_eq!(calendar.today("2026-11-22T17:59:59Z".parse().unwrap()), date(2026, 11, 22));
        assert_eq!(calendar.today("2026-11-22T18:00:00Z".parse().unwrap()), date(2026, 11, 23));
    }

    #[test]
    fn says_what_it_does_not_know() {
        let calendar = Calendar::of("KG").unwrap();
        assert!(calendar.knows(date(2026, 1, 1), date(2026, 12, 31)));
        assert!(!calendar.knows(date(2026, 12, 31), date(2027, 1, 8)), "the moon of 2027 is not announced");
    }

    #[test]
    fn refuses_what_is_no_calendar() {
        let year = "[[years]]\nyear = 2026\n";
        for (text, code) in [
            ("country = 'XX'".to_owned(), "calendar.malformed"),
            (LEAST.replace("[]", "['02-30']"), "calendar.day"),
            (LEAST.replace("[]", "['2-3']"), "calendar.day"),
            (LEAST.replace('5', "15"), "calendar.offset"),
            (format!("{LEAST}{year}days_off = ['2027-01-02']"), "calendar.other_year"),
            (format!("{LEAST}{year}days_off = ['02.01.2026']"), "calendar.date"),
            (format!("{LEAST}{year}days_off = ['2026-02-30']"), "calendar.date"),
            (format!("{LEAST}{year}working_days = ['2026-01-02T10:00']"), "calendar.date"),
            (format!("{LEAST}{year}{year}"), "calendar.year_twice"),
            (
                format!("{LEAST}{year}days_off = ['2026-01-02'{}]", ", '2026-01-02'".repeat(DAYS_MAX)),
                "calendar.too_long",
            ),
            (
                format!("{LEAST}{year}days_off = ['2026-01-02']\nworking_days = ['2026-01-02']"),
                "calendar.contradiction",
            ),
        ] {
            assert_eq!(Calendar::read(&text).unwrap_err().code(), code, "{text}");
        }
    }
}
