use bytes::Buf;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use sqlx::error::BoxDynError;

use super::super::{Value, conversion};

/// PostgreSQL's dates and times in their binary form. The driver's own reading of them panics at `infinity` and
/// takes 24:00 for midnight.
///
/// # Source
/// `date_send`, `time_send` and `timestamptz_send` in PostgreSQL's sources: days, and microseconds, since 2000-01-01
/// or midnight. The infinities are the largest and smallest numbers.
const EPOCH: Option<NaiveDate> = NaiveDate::from_ymd_opt(2000, 1, 1);

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;

pub(super) fn date(mut wire: &[u8]) -> Result<Value, BoxDynError> {
    let days = TimeDelta::try_days(wire.try_get_i32()?.into());
    let date = EPOCH.zip(days).and_then(|(epoch, days)| epoch.checked_add_signed(days));
    date.and_then(conversion::date).ok_or_else(out_of_range)
}

pub(super) fn time(mut wire: &[u8]) -> Result<Value, BoxDynError> {
    let microseconds = wire.try_get_i64()?;
    let seconds = u32::try_from(microseconds.div_euclid(MICROSECONDS_PER_SECOND))?;
    let nanoseconds = u32::try_from(microseconds.rem_euclid(MICROSECONDS_PER_SECOND) * 1000)?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanoseconds);
    time.map(conversion::time).ok_or_else(out_of_range)
}

/// Both kinds of timestamp: the session's time zone is UTC.
pub(super) fn timestamp(mut wire: &[u8]) -> Result<Value, BoxDynError> {
    let since_epoch = TimeDelta::microseconds(wire.try_get_i64()?);
    let epoch: Option<DateTime<Utc>> = EPOCH.map(|date| date.and_time(NaiveTime::MIN).and_utc());
    let moment = epoch.and_then(|epoch| epoch.checked_add_signed(since_epoch));
    moment.and_then(conversion::timestamp).ok_or_else(out_of_range)
}

fn out_of_range() -> BoxDynError {
    "out of range".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_ends_of_what_can_be_written() {
        assert_eq!(date(&0i32.to_be_bytes()).unwrap(), Value::Date("2000-01-01".into()));
        assert_eq!(date(&(-730_119i32).to_be_bytes()).unwrap(), Value::Date("0001-01-01".into()));
        assert_eq!(time(&86_399_999_999i64.to_be_bytes()).unwrap(), Value::Time("23:59:59.999999".into()));
        assert_eq!(
            timestamp(&(-1i64).to_be_bytes()).unwrap(),
            Value::Timestamp("1999-12-31T23:59:59.999999Z".into())
        );
    }

    #[test]
    fn refuses_infinities_without_panicking() {
        for days in [i32::MIN, i32::MAX] {
            assert!(date(&days.to_be_bytes()).is_err());
        }
        for microseconds in [i64::MIN, i64::MAX] {
            assert!(timestamp(&microseconds.to_be_bytes()).is_err());
            assert!(time(&microseconds.to_be_bytes()).is_err());
        }
    }

    #[test]
    fn refuses_the_end_of_a_day_as_a_time() {
        assert!(time(&86_400_000_000i64.to_be_bytes()).is_err());
    }

    #[test]
    fn refuses_what_is_cut_short() {
        assert!(date(&[0; 3]).is_err() && time(&[0; 7]).is_err() && timestamp(&[]).is_err());
    }
}
