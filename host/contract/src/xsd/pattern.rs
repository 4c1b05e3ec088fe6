//! Patterns from the language of XML Schema into that of the checks, and back.

use super::facets::Pattern;

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 4_096;

/// Letters and digits as XML names have them, near enough for values: the start of a name, and what may follow. The colon
/// comes last, for it is what is most often taken out.
const NAME_START: &str = r"\p{L}_:";
const NAME: &str = r"\p{L}\p{M}\p{N}_.\-:";

/// The blocks of Unicode that patterns in the field name.
const BLOCKS: [(&str, &str); 6] = [
    ("IsBasicLatin", r"\u0000-\u007F"),
    ("IsLatin-1Supplement", r"\u0080-\u00FF"),
    ("IsLatinExtended-A", r"\u0100-\u017F"),
    ("IsGreek", r"\u0370-\u03FF"),
    ("IsCyrillic", r"\u0400-\u04FF"),
    ("IsArabic", r"\u0600-\u06FF"),
];

/// One pattern that means any of `sources` (XML Schema 1.0 part 2 §4.3.4 and appendix F).
///
/// # Errors
/// One clause that says what the checks cannot do.
pub(crate) fn from_xsd(sources: &[&str]) -> Result<Pattern, String> {
    if sources.iter().map(|source| source.len()).sum::<usize>() > PATTERN_BYTES_MAX {
        return Err(format!("it is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    let alternatives = sources.iter().map(|source| translate(source)).collect::<Result<Vec<_>, _>>()?;
    let regex = format!("^(?:{})$", alternatives.join("|"));
    Ok(Pattern { xsd: sources.join("|"), regex })
}

fn translate(source: &str) -> Result<String, String> {
    let mut regex = String::with_capacity(source.len());
    let mut characters = source.chars().peekable();
    let mut in_class = false;
    let mut class_is_new = false;
    let mut after_quantifier = false;
    while let Some(character) = characters.next() {
        let was_quantifier = std::mem::replace(&mut after_quantifier, false);
        let was_new = std::mem::replace(&mut class_is_new, false);
        match character {
            '\\' => escape(&mut characters, in_class, &mut regex)?,
            '[' if !in_class => {
                regex.push('[');
                in_class = true;
                class_is_new = true;
            }
            '-' if in_class && characters.peek() == Some(&'[') => {
                // `[\i-[:]]`, a name without a colon, is the one subtraction in common use.
                let subtracted: String = characters.by_ref().take(3).collect();
                if subtracted != "[:]" || regex.pop() != Some(':') {
                    return Err("it subtracts one set of characters from another".to_owned());
                }
            }
            '^' if was_new => {
                regex.push('^');
                class_is_new = characters.peek() == Some(&'-');
            }
            ']' if in_class => {
                regex.push(']');
                in_class = false;
            }
            '-' if in_class && (was_new || characters.peek() == Some(&']')) => regex.push_str(r"\-"),
            // Doubled, these mean something to the checks.
            '&' if in_class => regex.push_str(r"\x26"),
            '~' if in_class => regex.push_str(r"\x7E"),
            '[' | '^' if in_class => regex.extend(['\\', character]),
            _ if in_class => regex.push(character),
            '.' => regex.push_str(r"[^\n\r]"),
            '^' | '$' => regex.extend(['\\', character]),
            '?' | '*' | '+' | '{' if was_quantifier => return Err("it repeats a repetition".to_owned()),
            '?' | '*' | '+' => {
                regex.push(character);
                after_quantifier = true;
            }
            '(' if characters.peek() == Some(&'?') => {
                return Err("XML Schema has no groups like `(?`".to_owned());
            }
            '}' => {
                regex.push(character);
                after_quantifier = true;
            }
            _ => regex.push(character),
        }
    }
    Ok(regex)
}

fn escape(
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    in_class: bool,
    regex: &mut String,
) -> Result<(), String> {
    let Some(escaped) = characters.next() else { return Err("it ends with `\\`".to_owned()) };
    let set = |regex: &mut String, negated: bool, members: &str| match (in_class, negated) {
        (true, true) => Err("it has the opposite of a set among other characters".to_owned()),
        (true, false) => {
            regex.push_str(members);
            Ok(())
        }
        (false, _) => {
            regex.push_str(&format!("[{}{members}]", if negated { "^" } else { "" }));
            Ok(())
        }
    };
    match escaped {
        'i' | 'I' => set(regex, escaped == 'I', NAME_START)?,
        'c' | 'C' => set(regex, escaped == 'C', NAME)?,
        's' | 'S' => set(regex, escaped == 'S', r" \t\n\r")?,
        'w' => set(regex, false, r"\p{L}\p{M}\p{N}\p{S}")?,
        'W' => set(regex, false, r"\p{P}\p{Z}\p{C}")?,
        'd' => regex.push_str(r"\p{Nd}"),
        'D' => regex.push_str(r"\P{Nd}"),
        'n' | 'r' | 't' => regex.extend(['\\', escaped]),
        'p' | 'P' => {
            let property: String =
                characters.by_ref().skip_while(|c| *c == '{').take_while(|c| *c != '}').collect();
            if let Some((_, members)) = BLOCKS.iter().find(|(name, _)| *name == property) {
                set(regex, escaped == 'P', members)?;
            } else if property.len() <= 2 && property.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                regex.push_str(&format!("\\{escaped}{{{property}}}"));
            } else {
                return Err("it names a block of Unicode that is not supported".to_owned());
            }
        }
        '\\' | '|' | '.' | '?' | '*' | '+' | '(' | ')' | '{' | '}' | '-' | '[' | ']' | '^' | '$' => {
            regex.extend(if escaped == '-' && !in_class { vec!['-'] } else { vec!['\\', escaped] });
        }
        _ => return Err("it escapes a letter that has no such meaning in XML Schema".to_owned()),
    }
    Ok(())
}

/// The pattern of XML Schema that means the same as `regex` of JSON Schema, if it is plain enough to say so.
pub(crate) fn to_xsd(regex: &str) -> Option<Pattern> {
    let (from_start, rest) = match regex.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, regex),
    };
    let (to_end, body) = match rest.strip_suffix('$') {
        Some(body) if !body.ends_with('\\') => (true, body),
        _ => (false, rest),
    };
    let mut xsd = String::new();
    let mut characters = body.chars().peekable();
    let mut depth = 0_i32;
    let mut in_class = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next()?;
                match escaped {
                    'd' | 'n' | 'r' | 't' | 's' => xsd.extend(['\\', escaped]),
                    '/' | '"' | '\'' | '@' | '#' | '%' | '&' | ',' | ':' | ';' | '<' | '=' | '>' | '_'
                    | '`' | '~' | '!' => {
                        xsd.push(escaped);
                    }
                    punctuation if punctuation.is_ascii_punctuation() => xsd.extend(['\\', punctuation]),
                    _ => return None,
                }
            }
            '[' if in_class => return None,
            '[' => {
                in_class = true;
                xsd.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    xsd.push('^');
                }
                if characters.peek() == Some(&'-') {
                    return None;
                }
            }
            ']' if in_class => {
                in_class = false;
                xsd.push(']');
            }
            '&' | '~' if in_class && characters.peek() == Some(&character) => return None,
            '-' if in_class && matches!(characters.peek(), Some('-' | ']')) => return None,
            _ if in_class => xsd.push(character),
            '^' | '$' => return None,
            '(' if characters.peek() == Some(&'?') => {
                characters.next();
                characters.next_if_eq(&':')?;
                xsd.push('(');
                depth += 1;
            }
            '(' => {
                xsd.push('(');
                depth += 1;
            }
            ')' => {
                xsd.push(')');
                depth -= 1;
            }
            // Anchors bind tighter than alternatives: `^a|b$` is something else than `^(a|b)$`.
            '|' if depth == 0 && (from_start || to_end) => return None,
            '?' | '*' | '+' | '}' => {
                xsd.push(character);
                if matches!(characters.peek(), Some('?' | '+' | '*')) {
                    return None;
                }
            }
            '.' => xsd.push_str(r"[^\n]"),
            _ => xsd.push(character),
        }
    }
    let any = r"[\s\S]*";
    let before = if from_start { "" } else { any };
    let after = if to_end { "" } else { any };
    let body = if from_start && to_end { xsd } else { format!("({xsd})") };
    Some(Pattern { xsd: format!("{before}{body}{after}"), regex: regex.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::{Report, Schema};

    #[track_caller]
    fn check(source: &str, good: &[&str], bad: &[&str]) {
        let pattern = from_xsd(&[source]).unwrap().regex;
        let schema = Schema::compile(json!({"pattern": pattern}), Report::Fields).unwrap();
        for text in good {
            assert!(schema.problems(&json!(text)).is_empty(), "{source} {pattern} {text}");
        }
        for text in bad {
            assert!(!schema.problems(&json!(text)).is_empty(), "{source} {pattern} {text}");
        }
    }

    #[test]
    fn means_in_both_languages_the_same() {
        check("[0-9]{14}", &["01234567890123"], &["0123456789012", "x01234567890123"]);
        check("a|b", &["a", "b"], &["ab", "ax", "xb"]);
        check("^$", &["^$"], &["", "^"]);
        check(r"[\i-[:]][\c-[:]]*", &["_a1", "аты"], &[":a", "a:b", "1"]);
        check("[^-a]", &["b"], &["-", "a"]);
        check("[-a&&~]+", &["-a&~"], &["b"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("[[^]", &["[", "^"], &["a"]);
        check(r"\d\s\w\.", &["1 a.", "٣\tб."], &["1-a.", "1 ,."]);
        check(r"[\D\w]", &["a", "1"], &[]);
        check(r"\p{IsCyrillic}+\P{Lu}", &["Асан", "АБв"], &["АБ", "Aa"]);
        check(".", &["a", "\u{85}"], &["\n", "\r", ""]);
    }

    #[test]
    fn any_of_several_patterns_will_do() {
        assert_eq!(
            from_xsd(&["a", "b+"]).unwrap(),
            Pattern { xsd: "a|b+".into(), regex: "^(?:a|b+)$".into() }
        );
    }

    #[test]
    fn refuses_what_means_something_else_here() {
        for source in ["[a-z-[aeiou]]", r"[\S]", "(?=a)", "a+?", r"\b", "\\", r"\p{IsHebrew}", r"\p{Greek}"] {
            assert!(from_xsd(&[source]).is_err(), "{source}");
        }
        assert!(from_xsd(&[&"a".repeat(5_000)]).is_err());
    }

    #[test]
    fn says_plain_patterns_in_xml_schema() {
        let said = |regex: &str| to_xsd(regex).map(|pattern| pattern.xsd);
        assert_eq!(said("^[0-9]{14}$").as_deref(), Some("[0-9]{14}"));
        assert_eq!(said("^(?:a|b)$").as_deref(), Some("(a|b)"));
        assert_eq!(said("a/b").as_deref(), Some(r"[\s\S]*(a/b)[\s\S]*"));
        for regex in ["^a|b$", "a+?", r"\bx", "(?i)a", "[a--b]", "a^"] {
            assert_eq!(said(regex), None, "{regex}");
        }
    }
}
