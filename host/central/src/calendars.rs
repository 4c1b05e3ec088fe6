//! The working days of each country: as the operator has written them, or else as this program comes with them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuk_pki::Sha256;

use crate::audit::Actor;
use crate::central::{Central, CentralError, Recorded};
use crate::joining::{Calendar, CalendarError, CalendarTables};
use crate::registry::{DamagedRow, Refusal};
use crate::store::StoreError;

/// The calendars at one moment.
#[derive(Debug, Clone)]
pub struct Calendars(BTreeMap<String, Calendar>);

/// Why a calendar was not changed.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "calendar.")]
#[non_exhaustive]
pub enum CalendarChangeError {
    /// No rules of joining go by it.
    #[error("no institution joins by the calendar of `{country}`")]
    Unknown {
        /// Which country.
        country: String,
    },
    /// What is written is no calendar.
    #[error(transparent)]
    Calendar(#[from] CalendarError),
    /// Somebody else has changed it meanwhile, or the database cannot be used.
    #[error(transparent)]
    Central(#[from] CentralError),
}

impl CalendarChangeError {
    /// The stable code: `calendar.contradiction`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Calendar(error) => error.code(),
            Self::Central(error) => error.code(),
            other => other.into(),
        }
    }
}

impl Recorded for CalendarTables {
    const KIND: &'static str = "calendar";

    fn told(&self) -> Value {
        json!(self)
    }
}

impl Calendars {
    /// That of a country.
    pub fn of(&self, country: &str) -> Option<&Calendar> {
        self.0.get(country)
    }

    /// All, by country.
    pub fn iter(&self) -> impl Iterator<Item = &Calendar> {
        self.0.values()
    }
}

impl Central {
    /// The calendars as they are now.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn calendars(&self) -> Result<Calendars, CentralError> {
        let mut calendars: BTreeMap<_, _> =
            Calendar::known().iter().map(|known| (known.tables().country.clone(), known.clone())).collect();
        for (country, tables) in self.records::<CalendarTables>().await? {
            let damaged = DamagedRow { kind: CalendarTables::KIND.to_owned(), id: country.clone() };
            let calendar = Calendar::build(tables).map_err(|_| StoreError::from(damaged))?;
            calendars.insert(country, calendar);
        }
        Ok(Calendars(calendars))
    }

    /// Writes a calendar anew. All deadlines go by it from then on; days that were counted until a pause stay counted.
    /// `replaces` is the digest of the calendar that was read, if another one shall not be overwritten.
    ///
    /// # Errors
    /// [`CalendarChangeError`] says what is wrong with it.
    pub async fn set_calendar(
        &self,
        actor: &Actor,
        tables: &CalendarTables,
        replaces: Option<&Sha256>,
    ) -> Result<Calendar, CalendarChangeError> {
        let country = &tables.country;
        let known =
            Calendar::of(country).ok_or_else(|| CalendarChangeError::Unknown { country: country.clone() })?;
        let written = Calendar::build(tables.clone())?;
        let change = |before: Option<CalendarTables>| -> Result<_, CalendarChangeError> {
            let before = before.map_or_else(|| Ok(known.clone()), Calendar::build)?;
            if replaces.is_some_and(|read| *read != before.digest()) {
                let overtaken = Refusal::ChangedMeanwhile { what: "calendar", name: country.clone() };
                return Err(CentralError::from(overtaken).into());
            }
            Ok(tables.clone())
        };
        self.change_record(actor, "set-calendar", country, change).await?;
        Ok(written)
    }
}
