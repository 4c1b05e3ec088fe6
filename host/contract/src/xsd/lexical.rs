//! Values written as text: whether they are of their type, and within its bounds.

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::Simple;
use super::builtin::{Builtin, WhiteSpace};
use super::facets::{Bound, Facets};
use crate::xml;

/// The keyword in JSON Schema that says what JSON Schema has no words for: the type of XML Schema that a text is of.
pub(crate) const KEYWORD: &str = "x-xsd";

/// Most digits of a year.
const YEAR_DIGITS_MAX: usize = 9;

/// A check of texts.
pub(crate) struct Lexical {
    builtin: Builtin,
    facets: Facets,
}

impl Lexical {
    /// The value of [`KEYWORD`] for a type; nothing if JSON Schema says it all.
    pub(crate) fn keyword(simple: &Simple) -> Option<Value> {
        let Simple { builtin, facets } = simple;
        if *builtin == Builtin::String {
            return None;
        }
        let mut keyword = Map::from_iter([("type".to_owned(), builtin.name().into())]);
        let bounds = [("min", &facets.lower), ("max", &facets.upper)];
        for (name, bound) in bounds.into_iter().filter_map(|(name, bound)| Some((name, bound.as_ref()?))) {
            let kind = if bound.exclusive { "Exclusive" } else { "Inclusive" };
            keyword.insert(format!("{name}{kind}"), bound.value.as_str().into());
        }
        let digits = [("totalDigits", facets.total_digits), ("fractionDigits", facets.fraction_digits)];
        for (name, digits) in digits.into_iter().filter_map(|(name, digits)| Some((name, digits?))) {
            keyword.insert(name.to_owned(), digits.into());
        }
        if builtin.is_binary() {
            let lengths = [("minLength", facets.length_min), ("maxLength", facets.length_max)];
            for (name, length) in lengths.into_iter().filter_map(|(name, length)| Some((name, length?))) {
                keyword.insert(name.to_owned(), length.into());
            }
        }
        Some(Value::Object(keyword))
    }

    /// The check that a keyword asks for.
    pub(crate) fn from_keyword(keyword: &Value) -> Option<Lexical> {
        let mut facets = Facets::default();
        let builtin: Builtin = keyword.get("type")?.as_str()?.parse().ok()?;
        for (name, value) in keyword.as_object()? {
            let small = || u32::try_from(value.as_u64()?).ok();
            let bound = || {
                let value = value.as_str().filter(|value| builtin.takes_bound(value))?.to_owned();
                Some(Some(Bound { value, exclusive: name.ends_with("Exclusive") }))
            };
            match name.as_str() {
                "type" => {}
                "minInclusive" | "minExclusive" => facets.lower = bound()?,
                "maxInclusive" | "maxExclusive" => facets.upper = bound()?,
                "totalDigits" => facets.total_digits = Some(small()?),
                "fractionDigits" => facets.fraction_digits = Some(small()?),
                "minLength" => facets.length_min = Some(value.as_u64()?),
                "maxLength" => facets.length_max = Some(value.as_u64()?),
                _ => return None,
            }
        }
        Some(Lexical { builtin, facets })
    }

    /// What is wrong with `text`: a clause that continues its name.
    pub(crate) fn problem(&self, text: &str) -> Option<String> {
        let Self { builtin, facets } = self;
        let name = builtin.name();
        if !builtin.allows(text) {
            return Some(format!("must be written as XML's {name}"));
        }
        if builtin.is_binary() {
            let bytes = builtin.bytes(text) as u64;
            if facets.length_min.is_some_and(|min| bytes < min)
                || facets.length_max.is_some_and(|max| bytes > max)
            {
                return Some("has too few or too many bytes".to_owned());
            }
        }
        let (whole, fraction) = digits(text);
        if facets.total_digits.is_some_and(|max| whole.len() + fraction.len() > max as usize) {
            return Some(format!("must have at most {} digits", facets.total_digits.unwrap_or_default()));
        }
        if facets.fraction_digits.is_some_and(|max| fraction.len() > max as usize) {
            let max = facets.fraction_digits.unwrap_or_default();
            return Some(format!("must have at most {max} digits after the point"));
        }
        let breaks = |bound: &Bound, beyond: Ordering| match builtin.compare(text, &bound.value) {
            Some(Ordering::Equal) => bound.exclusive,
            Some(ordering) => ordering == beyond,
            None => true,
        };
        if let Some(bound) = facets.lower.as_ref().filter(|bound| breaks(bound, Ordering::Less)) {
            let least = if bound.exclusive { "more than" } else { "at least" };
            return Some(format!("must be {least} {}", bound.value));
        }
        if let Some(bound) = facets.upper.as_ref().filter(|bound| breaks(bound, Ordering::Greater)) {
            let most = if bound.exclusive { "less than" } else { "at most" };
            return Some(format!("must be {most} {}", bound.value));
        }
        None
    }
}

impl Builtin {
    /// Whether `value` can be a least or greatest value of the type.
    pub(crate) fn takes_bound(self, value: &str) -> bool {
        self.allows(value) && self.compare(value, value).is_some()
    }

    /// Whether `text`, with its white space treated already, is a value of the type.
    pub(crate) fn allows(self, text: &str) -> bool {
        let is_collapsed = || WhiteSpace::Collapse.apply(text) == text;
        match self {
            Self::String => true,
            Self::NormalizedString => !text.contains(['\t', '\n', '\r']),
            Self::Token | Self::AnyUri => is_collapsed(),
            Self::Language => text.split('-').enumerate().all(|(index, part)| {
                let is_part = |byte: u8| byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit());
                (1..=8).contains(&part.len()) && part.bytes().all(is_part)
            }),
            Self::Name => xml::is_name(&text.replace(':', "_")),
            Self::NcName | Self::Id | Self::IdRef => xml::is_name(text),
            Self::NmToken => !text.is_empty() && xml::is_name(&format!("_{}", text.replace(':', "_"))),
            Self::Boolean => matches!(text, "true" | "false" | "1" | "0"),
            Self::Decimal => is_decimal(text),
            Self::Float | Self::Double => matches!(text, "INF" | "-INF" | "NaN") || is_double(text),
            Self::Duration => is_duration(text),
            Self::DateTime | Self::Time | Self::Date | Self::GYearMonth | Self::GYear => {
                self.moment(text).is_some()
            }
            Self::GMonthDay | Self::GDay | Self::GMonth => self.moment(text).is_some(),
            Self::HexBinary => {
                text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
            }
            Self::Base64Binary => decode_base64(text).is_some(),
            _ => is_integer(text) && within(text, self.integer_bounds()),
        }
    }

    /// How many bytes a binary value holds.
    fn bytes(self, text: &str) -> usize {
        match self {
            Self::HexBinary => text.len() / 2,
            _ => decode_base64(text).map_or(0, |bytes| bytes.len()),
        }
    }

    /// How two values are ordered; `None` if the type has no order that bounds could use.
    fn compare(self, left: &str, right: &str) -> Option<Ordering> {
        match self {
            Self::Decimal => Some(compare_decimals(left, right)),
            Self::Float | Self::Double => left.parse::<f64>().ok()?.partial_cmp(&right.parse().ok()?),
            Self::DateTime | Self::Time | Self::Date | Self::GYearMonth | Self::GYear => {
                Some(self.moment(left)?.cmp(&self.moment(right)?))
            }
            _ if self.is_integer() => Some(compare_decimals(left, right)),
            _ => None,
        }
    }

    /// Seconds since year 0 in UTC and the fraction's digits; a value without a time zone counts as UTC.
    fn moment(self, text: &str) -> Option<(i64, &str)> {
        let (text, offset_seconds) = split_zone(text)?;
        match self {
            Self::DateTime => {
                let (date, time) = text.split_once('T')?;
                let (seconds, fraction) = time_of_day(time)?;
                Some((days(date)? * 86_400 + seconds - offset_seconds, fraction))
            }
            Self::Time => {
                let (seconds, fraction) = time_of_day(text)?;
                Some((seconds - offset_seconds, fraction))
            }
            Self::Date => Some((days(text)? * 86_400 - offset_seconds, "")),
            Self::GYearMonth => Some((days(&format!("{text}-01"))? * 86_400 - offset_seconds, "")),
            Self::GYear => Some((days(&format!("{text}-01-01"))? * 86_400 - offset_seconds, "")),
            // A leap year, for the 29th of February.
            Self::GMonthDay => Some((days(&format!("2000{}", text.strip_prefix('-')?))?, "")),
            Self::GMonth => Some((days(&format!("2000{}-01", text.strip_prefix('-')?))?, "")),
            Self::GDay => Some((days(&format!("2000-01-{}", text.strip_prefix("---")?))?, "")),
            _ => None,
        }
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn within(text: &str, (least, greatest): (Option<i64>, Option<i64>)) -> bool {
    least.is_none_or(|least| compare_decimals(text, &least.to_string()).is_ge())
        && greatest.is_none_or(|greatest| compare_decimals(text, &greatest.to_string()).is_le())
}

fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    unsigned.bytes().any(|byte| byte.is_ascii_digit())
        && unsigned.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && unsigned.matches('.').count() <= 1
}

fn is_double(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    is_decimal(mantissa) && is_integer(exponent)
}

/// The digits of a number that count: before the point and after it.
fn digits(text: &str) -> (&str, &str) {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    (whole.trim_start_matches('0'), fraction.trim_end_matches('0'))
}

fn compare_decimals(left: &str, right: &str) -> Ordering {
    let is_negative = |text: &str| text.starts_with('-') && digits(text) != ("", "");
    let by_size = |left: &str, right: &str| {
        let ((left_whole, left_fraction), (right_whole, right_fraction)) = (digits(left), digits(right));
        let whole = left_whole.len().cmp(&right_whole.len()).then_with(|| left_whole.cmp(right_whole));
        whole.then_with(|| left_fraction.cmp(right_fraction))
    };
    match (is_negative(left), is_negative(right)) {
        (false, false) => by_size(left, right),
        (true, true) => by_size(right, left),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

/// `PnYnMnDTnHnMnS`, with at least one part, and a part after `T` (XML Schema 1.0 part 2 §3.2.6).
fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('-').unwrap_or(text).strip_prefix('P') else { return false };
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (rest, None),
    };
    let has_parts = |mut rest: &str, units: &str| {
        for unit in units.chars() {
            let Some((number, after)) = rest.split_once(unit) else { continue };
            if !is_decimal(number) || number.starts_with(['+', '-', '.']) || number.ends_with('.') {
                return false;
            }
            if unit != 'S' && number.contains('.') {
                return false;
            }
            rest = after;
        }
        rest.is_empty()
    };
    !(date.is_empty() && time.is_none())
        && has_parts(date, "YMD")
        && time.is_none_or(|time| !time.is_empty() && has_parts(time, "HMS"))
}

/// Splits a time zone off: the rest, and how many seconds it is ahead of UTC.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(rest) = text.strip_suffix('Z') {
        return Some((rest, 0));
    }
    let Some(at) = text.len().checked_sub(6) else { return Some((text, 0)) };
    match (text.get(..at), text.get(at..)) {
        (Some(rest), Some(zone)) if zone.starts_with(['+', '-']) && zone.as_bytes().get(3) == Some(&b':') => {
            let (hours, minutes) = (two_digits(zone.get(1..3)?, 14)?, two_digits(zone.get(4..)?, 59)?);
            let seconds = hours * 3_600 + minutes * 60;
            let is_ahead = zone.starts_with('+');
            (seconds <= 14 * 3_600).then_some((rest, if is_ahead { seconds } else { -seconds }))
        }
        _ => Some((text, 0)),
    }
}

/// Days since year 0 of the Gregorian calendar carried backwards.
fn days(date: &str) -> Option<i64> {
    let (sign, unsigned) = match date.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, date),
    };
    let mut parts = unsigned.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let is_year = (4..=YEAR_DIGITS_MAX).contains(&year.len())
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && (year.len() == 4 || !year.starts_with('0'))
        && parts.next().is_none();
    let year: i64 = if is_year { sign * year.parse::<i64>().ok()? } else { return None };
    let (month, day) = (two_digits(month, 12)?, two_digits(day, 31)?);
    let is_leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let length = match month {
        0 => return None,
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year == 0 || !(1..=length).contains(&day) {
        return None;
    }
    // Counted from March, so that the day of a leap year comes last.
    let (from_march, year) = if month > 2 { (month - 3, year) } else { (month + 9, year - 1) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + (from_march * 153 + 2) / 5 + day - 1)
}

/// Seconds since midnight, and the digits of the fraction.
fn time_of_day(time: &str) -> Option<(i64, &str)> {
    let mut parts = time.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let (seconds, fraction) = match seconds.split_once('.') {
        Some((_, "")) => return None,
        Some((seconds, fraction)) => (seconds, fraction),
        None => (seconds, ""),
    };
    if parts.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let of_day = two_digits(hours, 24)? * 3_600 + two_digits(minutes, 59)? * 60 + two_digits(seconds, 59)?;
    let fraction = fraction.trim_end_matches('0');
    (of_day < 86_400 || (of_day == 86_400 && fraction.is_empty())).then_some((of_day, fraction))
}

fn two_digits(text: &str, max: i64) -> Option<i64> {
    let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_plain && *number <= max)
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.replace(' ', "")).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(builtin: &str, good: &[&str], bad: &[&str]) {
        let builtin: Builtin = builtin.parse().unwrap();
        for text in good {
            assert!(builtin.allows(text), "{builtin:?} {text}");
        }
        for text in bad {
            assert!(!builtin.allows(text), "{builtin:?} {text}");
        }
    }

    #[test]
    fn knows_the_values_of_each_type() {
        check(
            "decimal",
            &["1", "-0.50", "+.5", "5.", "00.1"],
            &["", ".", "1e1", "1,5", "--1", "INF", "1.2.3"],
        );
        check("double", &["1", "-1.5E-3", "INF", "-INF", "NaN"], &["", "e1", "1e", "1e1.5", "+INF", "inf"]);
        check("unsignedByte", &["0", "255", "+7", "-0", "0255"], &["256", "-1", "1.0", ""]);
        check("integer", &["123456789012345678901234567890"], &["1.", "x"]);
        check(
            "date",
            &["2024-02-29", "-0001-01-01", "2001-01-01Z", "12024-01-01+14:00"],
            &[
                "2023-02-29",
                "0000-01-01",
                "2001-1-1",
                "2001-01-01+14:01",
                "02001-01-01",
                "2001-01-01T00:00:00",
                "",
            ],
        );
        check(
            "dateTime",
            &["2001-01-01T24:00:00", "2001-01-01T00:00:00.5-06:00"],
            &[
                "2001-01-01",
                "2001-01-01T24:00:01",
                "2001-01-01T00:60:00",
                "2001-01-01T00:00:00.",
                "2001-01-01 00:00:00",
            ],
        );
        check("time", &["00:00:00", "23:59:59.999Z"], &["24:00:01", "1:00:00", "00:00"]);
        check("gYear", &["2024", "-0044", "2024Z"], &["24", "2024-01"]);
        check("gYearMonth", &["2024-12"], &["2024-13", "2024"]);
        check("gMonthDay", &["--02-29"], &["--02-30", "02-29"]);
        check("gDay", &["---31"], &["---32", "31"]);
        check("gMonth", &["--12"], &["--13", "12"]);
        check("duration", &["P1Y", "-PT1.5S", "P1DT2H"], &["P", "PT", "P1DT", "1D", "P1.5D", "P1S", "P-1D"]);
        check("hexBinary", &["", "0aFF"], &["0", "0g"]);
        check("base64Binary", &["", "aGk=", "aG k="], &["a", "aGk", "a-k="]);
        check("language", &["ky", "en-US", "x-1"], &["", "1", "a_b", "abcdefghi"]);
        check("NCName", &["a", "_1", "аты"], &["", "1", "a:b", "a b"]);
        check("NMTOKEN", &["1", "a:b"], &["", "a b"]);
        check("token", &["", "a b"], &[" a", "a  b", "a\tb"]);
        check("normalizedString", &[" a  b "], &["a\tb"]);
        check("boolean", &["true", "0"], &["True", ""]);
    }

    #[track_caller]
    fn check_bounds(keyword: Value, good: &[&str], bad: &[&str]) {
        let lexical = Lexical::from_keyword(&keyword).unwrap();
        for text in good {
            assert_eq!(lexical.problem(text), None, "{text}");
        }
        for text in bad {
            assert!(lexical.problem(text).is_some(), "{text}");
        }
    }

    #[test]
    fn holds_decimals_to_their_bounds_digit_by_digit() {
        check_bounds(
            json!({"type": "decimal", "minExclusive": "-0.1", "maxInclusive": "100", "fractionDigits": 20}),
            &["-0.09999999999999999999", "-0.0", "100.0", "+99.5"],
            &["-0.1", "-0.10", "100.00000000000000000001", "1000", "0.000000000000000000001"],
        );
        check_bounds(json!({"type": "decimal", "totalDigits": 3}), &["001.23", "12.30"], &["12.34", "1234"]);
    }

    #[test]
    fn holds_dates_to_their_bounds_in_their_time_zones() {
        check_bounds(
            json!({"type": "dateTime", "minInclusive": "2024-01-01T00:00:00Z"}),
            &["2024-01-01T06:00:00+06:00", "2024-01-01T00:00:00.1Z", "12024-01-01T00:00:00Z"],
            &["2024-01-01T05:59:59.9+06:00", "-2024-01-01T00:00:00Z"],
        );
        check_bounds(json!({"type": "gYear", "maxExclusive": "2000"}), &["1999"], &["2000", "2001"]);
    }

    #[test]
    fn counts_the_bytes_of_binary_values() {
        check_bounds(
            json!({"type": "base64Binary", "minLength": 2, "maxLength": 2}),
            &["aGk="],
            &["aA==", "aGkh"],
        );
    }

    #[test]
    fn takes_no_keyword_it_does_not_understand() {
        for keyword in [json!({}), json!({"type": "QName"}), json!({"type": "decimal", "step": 1})] {
            assert!(Lexical::from_keyword(&keyword).is_none(), "{keyword}");
        }
        assert!(Lexical::from_keyword(&json!({"type": "duration", "minInclusive": "P1D"})).is_none());
        assert!(Lexical::from_keyword(&json!({"type": "decimal", "minInclusive": "x"})).is_none());
    }
}
