//! Capability `log`: lines of an adapter, cleaned, bounded and kept apart from the host's own.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::{hmac, rand};
use serde::{Deserialize, Serialize};

use crate::limits::CallLimits;

/// Lines kept per plugin for `uuk plugin logs`, and their bytes.
const LINES_KEPT: usize = 1_000;
const BYTES_KEPT: usize = 1 << 20;
/// Bytes of all lines of one call, fields included.
const CALL_BYTES_MAX: usize = 64 << 10;
/// Fields of one line, and the bytes of each.
const FIELDS_MAX: usize = 16;
const FIELD_NAME_BYTES_MAX: usize = 64;
const FIELD_TEXT_BYTES_MAX: usize = 256;
/// Of a personal value, no more goes into its digest.
const PERSONAL_BYTES_MAX: usize = 1 << 10;

/// Severity, as the adapter states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[expect(missing_docs, reason = "the usual five")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Value of a field.
pub(crate) enum Field {
    Text(String),
    /// Shown only as a keyed digest, so that an operator can correlate and not read.
    Personal(String),
}

impl Field {
    /// Bytes of it that are worked on.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len().min(FIELD_TEXT_BYTES_MAX),
            Self::Personal(value) => value.len().min(PERSONAL_BYTES_MAX),
        }
    }
}

/// What one call may still log.
#[derive(Debug)]
pub(crate) struct LogBudget {
    lines_left: u32,
    bytes_left: usize,
    line_bytes_max: usize,
}

impl LogBudget {
    pub(crate) fn of(limits: &CallLimits) -> Self {
        Self {
            lines_left: limits.log_lines_max,
            bytes_left: CALL_BYTES_MAX,
            line_bytes_max: limits.log_line_bytes_max,
        }
    }

    /// Takes the share of one line before anything is done with it.
    fn take(&mut self, message: &str, fields: &[(String, Field)]) -> Share {
        let Some(lines_left) = self.lines_left.checked_sub(1) else { return Share::None };
        let fields = fields.iter().map(|(name, value)| name.len().min(FIELD_NAME_BYTES_MAX) + value.bytes());
        let bytes = message.len().min(self.line_bytes_max) + fields.sum::<usize>();
        match self.bytes_left.checked_sub(bytes) {
            Some(bytes_left) if lines_left > 0 => {
                (self.lines_left, self.bytes_left) = (lines_left, bytes_left);
                Share::Line
            }
            Some(_) | None => {
                self.lines_left = 0;
                Share::LastLine
            }
        }
    }
}

/// What a call may write of a line.
#[derive(Debug, PartialEq, Eq)]
enum Share {
    Line,
    /// Only that there are no more.
    LastLine,
    None,
}

/// One line as kept and shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogLine {
    /// When, UTC.
    pub time: String,
    /// How severe.
    pub level: Level,
    /// Identifier of the exchange.
    pub exchange_id: String,
    /// Text without control characters.
    pub message: String,
    /// Fields, in the adapter's order.
    pub fields: Vec<(String, String)>,
}

/// The last lines of one plugin.
pub(crate) struct PluginLog {
    plugin: String,
    version: String,
    lines: Mutex<LastLines>,
    personal: hmac::Key,
}

/// As many of the last lines as fit.
#[derive(Default)]
struct LastLines {
    lines: VecDeque<LogLine>,
    bytes: usize,
}

impl LastLines {
    fn push(&mut self, line: LogLine) {
        self.bytes += line.bytes();
        self.lines.push_back(line);
        while self.lines.len() > LINES_KEPT || self.bytes > BYTES_KEPT {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}

impl LogLine {
    /// Text of the guest's choice.
    fn bytes(&self) -> usize {
        let fields = self.fields.iter().map(|(name, value)| name.len() + value.len());
        self.message.len() + fields.sum::<usize>()
    }
}

impl PluginLog {
    pub(crate) fn new(plugin: String, version: String) -> Self {
        let mut key = [0; 32];
        // Without randomness the digests of one process could be compared with another's; lines are still written.
        let _ = rand::fill(&mut key);
        Self { plugin, version, lines: Mutex::default(), personal: hmac::Key::new(hmac::HMAC_SHA256, &key) }
    }

    /// Writes a line, unless the call has written its share.
    pub(crate) fn emit(
        &self,
        budget: &mut LogBudget,
        exchange_id: &str,
        level: Level,
        message: &str,
        fields: impl Iterator<Item = (String, Field)>,
    ) {
        let fields: Vec<(String, Field)> = fields.take(FIELDS_MAX).collect();
        let (message, fields) = match budget.take(message, &fields) {
            Share::Line => (clean(message, budget.line_bytes_max), self.show_all(&fields)),
            Share::LastLine => ("(further lines of this call are left out)".to_owned(), Vec::new()),
            Share::None => return,
        };
        let (name, version) = (&self.plugin, &self.version);
        // One event level for the host's filter; the adapter's own level is a field, so that it can not shout.
        tracing::debug!(
            target: "uuk::plugin",
            { plugin.name = name, plugin.version = version, xroad.id = exchange_id, plugin.level = %level,
              plugin.fields = ?fields },
            "{message}"
        );
        let line = LogLine {
            time: jiff::Timestamp::now().to_string(),
            level,
            exchange_id: exchange_id.to_owned(),
            message,
            fields,
        };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).lines.iter().cloned().collect()
    }

    fn show_all(&self, fields: &[(String, Field)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| (clean(name, FIELD_NAME_BYTES_MAX), self.show(value))).collect()
    }

    fn show(&self, value: &Field) -> String {
        match value {
            Field::Text(text) => clean(text, FIELD_TEXT_BYTES_MAX),
            Field::Personal(value) => {
                let value = value.as_bytes();
                let tag = hmac::sign(&self.personal, value.get(..PERSONAL_BYTES_MAX).unwrap_or(value));
                format!("personal:{}", hex::encode(tag.as_ref().get(..6).unwrap_or_default()))
            }
        }
    }
}

/// Takes out what could forge a line or drive a terminal, and cuts at `bytes_max`.
fn clean(text: &str, bytes_max: usize) -> String {
    let harmless = |c: char| match c {
        c if c.is_control() => '\u{FFFD}',
        // Overrides of writing direction make a line read as another.
        '\u{200E}'
        | '\u{200F}'
        | '\u{2028}'
        | '\u{2029}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        c => c,
    };
    let mut cleaned = String::new();
    for c in text.chars().map(harmless) {
        if cleaned.len() + c.len_utf8() > bytes_max {
            cleaned.push('…');
            break;
        }
        cleaned.push(c);
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(lines_max: u32, messages: &[&str]) -> Vec<LogLine> {
        let log = PluginLog::new("kg.example.people".into(), "1.0.0".into());
        let mut budget = LogBudget { lines_left: lines_max, bytes_left: CALL_BYTES_MAX, line_bytes_max: 16 };
        for message in messages {
            let fields = [("pin".to_owned(), Field::Personal("10101199000001".to_owned()))];
            log.emit(&mut budget, "id", Level::Info, message, fields.into_iter());
        }
        log.lines()
    }

    #[test]
    fn takes_out_line_breaks_and_escapes() {
        let lines = emitted(10, &["a\nb\x1b[31mc\u{202E}"]);
        assert_eq!(lines[0].message, "a\u{FFFD}b\u{FFFD}[31mc\u{FFFD}");
    }

    #[test]
    fn cuts_a_long_line() {
        assert_eq!(emitted(10, &["12345678901234567890"])[0].message, "1234567890123456…");
    }

    #[test]
    fn stops_after_the_share_of_a_call() {
        let lines = emitted(3, &["1", "2", "3", "4", "5"]);
        assert_eq!(lines.len(), 3);
        assert!(lines[2].message.contains("left out"));
    }

    #[test]
    fn stops_after_the_bytes_of_a_call() {
        let mut budget = LogBudget { lines_left: 500, bytes_left: 10, line_bytes_max: 8 };
        let shares: Vec<_> = (0..4).map(|_| budget.take("12345678", &[])).collect();
        assert_eq!(shares, [Share::Line, Share::LastLine, Share::None, Share::None]);
    }

    #[test]
    fn stops_after_the_bytes_of_fields() {
        let limits = CallLimits::CEILING;
        let mut budget = LogBudget::of(&limits);
        let fields: Vec<_> = (0..FIELDS_MAX)
            .map(|number| (number.to_string(), Field::Text("x".repeat(FIELD_TEXT_BYTES_MAX))))
            .collect();
        let lines = (0..limits.log_lines_max).take_while(|_| budget.take("", &fields) == Share::Line).count();
        assert_eq!(lines, CALL_BYTES_MAX / (FIELDS_MAX * FIELD_TEXT_BYTES_MAX) - 1);
    }

    #[test]
    fn counts_and_digests_no_more_of_a_long_personal_value_than_it_may_have() {
        let log = PluginLog::new("kg.example.people".into(), "1.0.0".into());
        let of = |length| Field::Personal("1".repeat(length));
        assert_eq!(of(1 << 20).bytes(), PERSONAL_BYTES_MAX);
        assert_eq!(log.show(&of(1 << 20)), log.show(&of(PERSONAL_BYTES_MAX)));
        assert_ne!(log.show(&of(PERSONAL_BYTES_MAX)), log.show(&of(PERSONAL_BYTES_MAX - 1)));
    }

    #[test]
    fn keeps_the_last_lines_that_fit() {
        let log = PluginLog::new("kg.example.people".into(), "1.0.0".into());
        let limits = CallLimits { log_line_bytes_max: 4096, ..CallLimits::CEILING };
        for number in 0..600 {
            let message = format!("{number:04000}");
            log.emit(&mut LogBudget::of(&limits), "id", Level::Info, &message, std::iter::empty());
        }
        let lines = log.lines();
        assert_eq!(lines.len(), BYTES_KEPT / 4000);
        assert!(lines.last().is_some_and(|line| line.message.ends_with("0599")));
    }

    #[test]
    fn shows_personal_values_only_as_a_digest() {
        let (_, value) = &emitted(3, &["x"])[0].fields[0];
        assert!(value.starts_with("personal:") && !value.contains("10101199000001"), "{value}");
    }
}
