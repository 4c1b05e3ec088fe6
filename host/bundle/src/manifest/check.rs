//! The rules of the manifest beyond its shape.
//!
//! What concerns one value is checked while it is read, so that the TOML reader knows where it stands. What concerns
//! several is checked afterwards, and the place is looked up again.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use toml::de::{DeTable, DeValue};
use uuk_asic::EntryName;

use super::{Access, Engine, Manifest};
use crate::contents::is_reserved;

const SERVICES_MAX: usize = 64;
const DATASOURCES_MAX: usize = 16;
const STATEMENTS_MAX: usize = 256;
const UPSTREAMS_MAX: usize = 16;
const PATH_PATTERNS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 64;
const LINE_BYTES_MAX: usize = 200;

/// Where in `plugin.toml`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Line.
    pub line: usize,
    /// Character in the line.
    pub column: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// Why a manifest was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "manifest.")]
#[non_exhaustive]
pub enum ManifestError {
    /// The file is too large.
    #[error("plugin.toml is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not text.
    #[error("plugin.toml is not in UTF-8")]
    NotUtf8,
    /// Not TOML, an unknown or missing key, or a value that is out of bounds or of the wrong form.
    #[error("plugin.toml:{at}: {reason}")]
    Invalid {
        /// Where.
        at: Location,
        /// What is wrong.
        reason: String,
    },
    /// A plugin without services.
    #[error("plugin.toml:{at}: a plugin answers at least one [[service]]")]
    NoService {
        /// Where.
        at: Location,
    },
    /// More tables of a kind than a plugin may have.
    #[error("plugin.toml:{at}: more than {max} sections [{section}]")]
    TooMany {
        /// Where.
        at: Location,
        /// Of which kind.
        section: &'static str,
        /// The limit.
        max: usize,
    },
    /// The name of a section is not in kebab-case.
    #[error(
        "plugin.toml:{at}: `{name}` is not a name for a section [{section}]: small letters, digits and single `-`, \
         beginning with a letter, {NAME_BYTES_MAX} at most"
    )]
    Name {
        /// Where.
        at: Location,
        /// Of which kind.
        section: &'static str,
        /// The name, escaped and shortened.
        name: String,
    },
    /// Two services of one code.
    #[error("plugin.toml:{at}: the service `{code}` occurs twice")]
    DuplicateService {
        /// Where.
        at: Location,
        /// Its code.
        code: String,
    },
    /// A statement runs on a datasource that is not asked for.
    #[error(
        "plugin.toml:{at}: the statement `{statement}` runs on `{datasource}`, for which there is no section [datasource]"
    )]
    UnknownDatasource {
        /// Where.
        at: Location,
        /// Which statement.
        statement: String,
        /// The name it gives, escaped and shortened.
        datasource: String,
    },
    /// A statement writes to a datasource with `access = "read"`.
    #[error(
        "plugin.toml:{at}: the statement `{statement}` writes, but its datasource `{datasource}` asks for reading \
         only"
    )]
    WriteNotAsked {
        /// Where.
        at: Location,
        /// Which statement.
        statement: String,
        /// Its datasource.
        datasource: String,
    },
}

impl ManifestError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    if bytes.len() > Manifest::BYTES_MAX {
        return Err(ManifestError::TooLarge { bytes_max: Manifest::BYTES_MAX });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotUtf8)?;
    let manifest: Manifest = toml::from_str(text).map_err(|error| ManifestError::Invalid {
        at: location(text, error.span().map_or(0, |span| span.start)),
        reason: shorten(error.message()),
    })?;
    check_services(&manifest, text)?;
    check_sections(&manifest, text)?;
    check_statements(&manifest, text)?;
    Ok(manifest)
}

fn check_services(manifest: &Manifest, text: &str) -> Result<(), ManifestError> {
    let services = &manifest.services;
    if services.is_empty() {
        return Err(ManifestError::NoService { at: locate(text, &["service"]) });
    }
    if services.len() > SERVICES_MAX {
        let at = locate(text, &["service"]);
        return Err(ManifestError::TooMany { at, section: "service", max: SERVICES_MAX });
    }
    for (index, service) in services.iter().enumerate() {
        if services.iter().take(index).any(|earlier| earlier.code == service.code) {
            let at = locate(text, &["service", &index.to_string(), "code"]);
            return Err(ManifestError::DuplicateService { at, code: service.code.clone() });
        }
    }
    Ok(())
}

fn check_sections(manifest: &Manifest, text: &str) -> Result<(), ManifestError> {
    let sections: [(&'static str, Vec<&String>, usize); 3] = [
        ("datasource", manifest.datasources.keys().collect(), DATASOURCES_MAX),
        ("sql", manifest.statements.keys().collect(), STATEMENTS_MAX),
        ("upstream", manifest.upstreams.keys().collect(), UPSTREAMS_MAX),
    ];
    for (section, names, max) in sections {
        if names.len() > max {
            return Err(ManifestError::TooMany { at: locate(text, &[section]), section, max });
        }
        if let Some(name) = names.into_iter().find(|name| !is_kebab_case(name)) {
            let at = locate(text, &[section, name]);
            return Err(ManifestError::Name { at, section, name: shorten(&name.escape_debug().to_string()) });
        }
    }
    Ok(())
}

fn check_statements(manifest: &Manifest, text: &str) -> Result<(), ManifestError> {
    for (name, statement) in &manifest.statements {
        let at = |key| locate(text, &["sql", name, key]);
        let Some(datasource) = manifest.datasources.get(&statement.datasource) else {
            return Err(ManifestError::UnknownDatasource {
                at: at("datasource"),
                statement: name.clone(),
                datasource: shorten(&statement.datasource.escape_debug().to_string()),
            });
        };
        if statement.mode == Access::Write && datasource.access == Access::Read {
            return Err(ManifestError::WriteNotAsked {
                at: at("mode"),
                statement: name.clone(),
                datasource: statement.datasource.clone(),
            });
        }
    }
    Ok(())
}

/// Finds where the value under `path` stands; the nearest thing above it that exists, if it does not.
fn locate(text: &str, path: &[&str]) -> Location {
    let Ok(root) = DeTable::parse(text) else { return location(text, 0) };
    let mut steps = path.iter();
    let mut found = steps.next().and_then(|key| root.get_ref().get(*key));
    let mut offset = 0;
    while let Some(value) = found {
        offset = value.span().start;
        found = steps.next().and_then(|step| match value.get_ref() {
            DeValue::Table(table) => table.get(*step),
            DeValue::Array(array) => step.parse::<usize>().ok().and_then(|index| array.get(index)),
            _ => None,
        });
    }
    location(text, offset)
}

pub(crate) fn location(text: &str, offset: usize) -> Location {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |position| position + 1);
    let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
    Location { line: before.matches('\n').count() + 1, column }
}

/// What a parser says may quote the input; keep it readable.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 200;
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(SHOWN_CHARS_MAX)
        .collect()
}

pub(super) fn plugin_id<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    const ID_BYTES_MAX: usize = 128;
    text_where(input, "a plugin's id is a reversed domain name, such as `kg.example.people`", |id| {
        id.len() <= ID_BYTES_MAX && id.contains('.') && id.split('.').all(is_kebab_case)
    })
}

pub(super) fn api_version<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    text_where(input, "the adapter contract's version is `major.minor`, such as `0.1`", |version| {
        let is_number = |text: &str| text.parse::<u16>().is_ok_and(|number| number.to_string() == text);
        version.split_once('.').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
    })
}

pub(super) fn line<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    text_where(input, "the text is one line of at most 200 bytes", |line| {
        line.len() <= LINE_BYTES_MAX && !line.chars().any(char::is_control)
    })
    .map(Some)
}

pub(super) fn service_code<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    text_where(input, "a service code is 1 to 64 letters, digits, `-`, `_` and `.`", |code| {
        (1..=NAME_BYTES_MAX).contains(&code.len())
            && !code.starts_with('.')
            && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    })
}

pub(super) fn path<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let path = String::deserialize(input)?;
    let name = EntryName::new(&path).map_err(D::Error::custom)?;
    if is_reserved(&name) {
        return Err(D::Error::custom(format_args!("`{name}` has another meaning in a bundle")));
    }
    Ok(path)
}

pub(super) fn config_schema<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(deserialize_with = "path")]
        schema: String,
    }
    Config::deserialize(input).map(|config| Some(config.schema))
}

pub(super) fn engines<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Engine>, D::Error> {
    let engines = Vec::<Engine>::deserialize(input)?;
    let repeated =
        engines.iter().enumerate().any(|(index, engine)| engines.iter().take(index).any(|e| e == engine));
    if engines.is_empty() || repeated {
        return Err(D::Error::custom(
            "a datasource names each engine it is written for once, and at least one",
        ));
    }
    Ok(engines)
}

pub(super) fn methods<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let methods = Vec::<String>::deserialize(input)?;
    let known = methods.iter().all(|method| METHODS.contains(&method.as_str()));
    if methods.is_empty() || methods.len() > METHODS.len() || !known {
        return Err(D::Error::custom("methods are some of GET, HEAD, POST, PUT, PATCH and DELETE"));
    }
    Ok(methods)
}

pub(super) fn path_patterns<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let patterns = Vec::<String>::deserialize(input)?;
    if patterns.is_empty()
        || patterns.len() > PATH_PATTERNS_MAX
        || !patterns.iter().all(|p| is_path_pattern(p))
    {
        return Err(D::Error::custom(format_args!(
            "paths are 1 to {PATH_PATTERNS_MAX} patterns such as `/v1/objects/*`: segments of unreserved \
             characters, `*` for one whole segment, `**` for the rest"
        )));
    }
    Ok(patterns)
}

fn is_path_pattern(pattern: &str) -> bool {
    let Some(path) = pattern.strip_prefix('/') else { return false };
    let is_literal = |segment: &str| {
        segment != "."
            && segment != ".."
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:@!$&'()+,;=".contains(&byte))
    };
    let mut rest = path.split('/').peekable();
    while let Some(segment) = rest.next() {
        let last = rest.peek().is_none();
        let fits = match segment {
            "*" => true,
            "**" => last,
            // A trailing slash is a path of its own, two slashes in a row are a trick.
            "" => last,
            literal => is_literal(literal),
        };
        if !fits {
            return false;
        }
    }
    pattern.len() <= 256
}

fn is_kebab_case(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

fn text_where<'de, D: Deserializer<'de>>(
    input: D,
    rule: &'static str,
    fits: impl Fn(&str) -> bool,
) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    if fits(&text) { Ok(text) } else { Err(D::Error::custom(rule)) }
}
