//! Dates as registers write them: `31.12.1999`, `19991231`.

/// How a date is written: `yyyy`, `mm` and `dd`, once each, with anything but letters and digits around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatePattern {
    text: String,
    year: usize,
    month: usize,
    day: usize,
}

impl DatePattern {
    /// As contracts and databases write dates: `1999-12-31`.
    pub(crate) fn iso() -> Self {
        Self { text: "yyyy-mm-dd".to_owned(), year: 0, month: 5, day: 8 }
    }

    /// Reads a pattern; nothing if it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let place = |part: &str| text.find(part).filter(|_| text.matches(part).count() == 1);
        let (year, month, day) = (place("yyyy")?, place("mm")?, place("dd")?);
        let between = text.replace("yyyy", "").replace("mm", "").replace("dd", "");
        let is_plain = text.is_ascii() && !between.bytes().any(|byte| byte.is_ascii_alphanumeric());
        is_plain.then(|| Self { text: text.to_owned(), year, month, day })
    }

    /// `date`, written by this pattern, as `other` writes it; nothing if it is no such date.
    pub(crate) fn rewritten(&self, date: &str, other: &Self) -> Option<String> {
        let digits = |place: usize, length: usize| {
            let digits = date.get(place..place + length)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits)
        };
        let (year, month, day) = (digits(self.year, 4)?, digits(self.month, 2)?, digits(self.day, 2)?);
        let written = self.filled(year, month, day);
        let exists = is_date(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
        (written == date && exists).then(|| other.filled(year, month, day))
    }

    fn filled(&self, year: &str, month: &str, day: &str) -> String {
        self.text.replace("yyyy", year).replace("mm", month).replace("dd", day)
    }
}

fn is_date(year: u16, month: u8, day: u8) -> bool {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_iso(pattern: &str, date: &str) -> Option<String> {
        DatePattern::parse(pattern).unwrap().rewritten(date, &DatePattern::iso())
    }

    #[test]
    fn reads_dates_as_registers_write_them() {
        for (pattern, date) in
            [("dd.mm.yyyy", "29.02.2024"), ("yyyymmdd", "20240229"), ("yyyy/dd/mm", "2024/29/02")]
        {
            assert_eq!(to_iso(pattern, date).as_deref(), Some("2024-02-29"), "{pattern}");
            let back = DatePattern::iso().rewritten("2024-02-29", &DatePattern::parse(pattern).unwrap());
            assert_eq!(back.as_deref(), Some(date));
        }
    }

    #[test]
    fn refuses_what_is_no_such_date() {
        for date in [
            "29.02.2023",
            "31.04.2024",
            "01.13.2024",
            "00.01.2024",
            "1.2.2024",
            "29-02-2024",
            "29.02.2024 ",
            "٢٩.02.2024",
            "",
        ] {
            assert_eq!(to_iso("dd.mm.yyyy", date), None, "{date}");
        }
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        for pattern in ["", "dd.mm", "dd.mm.yy", "dd.mm.yyyy.dd", "dd.mm.yyyy hh", "%d.%m.%Y"] {
            assert_eq!(DatePattern::parse(pattern), None, "{pattern}");
        }
    }
}
