//! Decimal numbers as text, which lose nothing.

/// `number` with exactly `digits` digits after the point; nothing if it is no plain decimal, or if digits that are not
/// zero would be lost.
pub(crate) fn with_digits(number: &str, digits: usize) -> Option<String> {
    let (whole, fraction) = parts(number)?;
    let (kept, lost) = fraction.split_at(digits.min(fraction.len()));
    if lost.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let point = if digits == 0 { "" } else { "." };
    Some(format!("{whole}{point}{kept:0<digits$}"))
}

/// Whether `number` is a decimal that JSON takes as it is: `-12.50`, and neither `012` nor `1e3`.
pub(crate) fn is_decimal(number: &str) -> bool {
    parts(number).is_some()
}

fn parts(number: &str) -> Option<(&str, &str)> {
    let (whole, fraction) =
        number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = digits.len() > 1 && digits.starts_with('0');
    let fits = are_digits(digits) && !is_padded && fraction.is_none_or(are_digits);
    fits.then_some((whole, fraction.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_as_many_digits_as_asked_for() {
        let cases = [
            ("12.5", 2, "12.50"),
            ("12.500", 2, "12.50"),
            ("-12", 2, "-12.00"),
            ("12.00", 0, "12"),
            ("123456789012345678901234567890.1", 1, "123456789012345678901234567890.1"),
        ];
        for (number, digits, expected) in cases {
            assert_eq!(with_digits(number, digits).as_deref(), Some(expected), "{number}");
        }
    }

    #[test]
    fn loses_no_digit() {
        assert_eq!(with_digits("12.345", 2), None);
        assert_eq!(with_digits("12.5", 0), None);
    }

    #[test]
    fn refuses_what_is_no_plain_decimal() {
        for number in ["", "-", "1.", ".5", "1e3", "+1", "012", "1,5", "NaN", "１"] {
            assert!(!is_decimal(number), "{number}");
        }
    }
}
