//! What restricts a type without children.

use super::builtin::{Builtin, JsonKind};
use super::pattern;
use super::{Simple, XSD};
use crate::wsdl::WsdlError;
use crate::xml::Element;

/// The restrictions of a type, those of its bases included (XML Schema 1.0 part 2 §4.3).
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Facets {
    pub(crate) enumeration: Option<Vec<String>>,
    /// One for each restriction in the line of bases that has any; a value must match all.
    pub(crate) patterns: Vec<Pattern>,
    /// In characters; in bytes for binary types.
    pub(crate) length_min: Option<u64>,
    pub(crate) length_max: Option<u64>,
    pub(crate) lower: Option<Bound>,
    pub(crate) upper: Option<Bound>,
    pub(crate) total_digits: Option<u32>,
    pub(crate) fraction_digits: Option<u32>,
}

/// A pattern in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// For XML Schema, which anchors it.
    pub(crate) xsd: String,
    /// For JSON Schema, anchored.
    pub(crate) regex: String,
}

/// The least or greatest value, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) value: String,
    pub(crate) exclusive: bool,
}

impl Simple {
    /// A built-in type as it is.
    pub(crate) fn of(builtin: Builtin) -> Simple {
        Simple { builtin, facets: Facets::default() }
    }

    /// What its values are in JSON. A pattern is about digits as written, which only text keeps.
    pub(crate) fn json_kind(&self) -> JsonKind {
        if self.facets.patterns.is_empty() { self.builtin.json_kind() } else { JsonKind::Text }
    }

    /// This type narrowed by the children of `restriction`.
    pub(crate) fn restricted(mut self, restriction: &Element) -> Result<Simple, WsdlError> {
        let (mut values, mut patterns) = (Vec::new(), Vec::new());
        for facet in restriction.children.iter().filter(|child| child.name.namespace == XSD) {
            let value = || {
                facet.attribute("value").ok_or_else(|| WsdlError::AttributeMissing {
                    line: facet.line,
                    element: facet.name.local.clone(),
                    attribute: "value",
                })
            };
            let own = &mut self.facets;
            match facet.name.local.as_str() {
                "enumeration" => values.push(self.builtin.white_space().apply(value()?)),
                "pattern" => patterns.push((value()?, facet.line)),
                "length" => {
                    let length = number(facet, value()?)?;
                    (own.length_min, own.length_max) = (Some(length), Some(length));
                }
                "minLength" => own.length_min = Some(number(facet, value()?)?),
                "maxLength" => own.length_max = Some(number(facet, value()?)?),
                "totalDigits" => own.total_digits = Some(number(facet, value()?)?),
                "fractionDigits" => own.fraction_digits = Some(number(facet, value()?)?),
                name @ ("minInclusive" | "minExclusive" | "maxInclusive" | "maxExclusive") => {
                    let value = value()?.trim().to_owned();
                    if !self.builtin.takes_bound(&value) {
                        return Err(WsdlError::ValueInvalid {
                            line: facet.line,
                            place: name.to_owned(),
                            expected: "a value of a type that is ordered: a number, a date or a time",
                        });
                    }
                    let bound = Some(Bound { value, exclusive: name.ends_with("Exclusive") });
                    *if name.starts_with("min") { &mut own.lower } else { &mut own.upper } = bound;
                }
                "whiteSpace" => self.builtin = self.builtin.with_white_space(value()?),
                // A type of its own is the base, which the caller has read.
                "annotation" | "simpleType" | "attribute" | "attributeGroup" => {}
                _ => return Err(WsdlError::unsupported(facet, "this restriction", "leave it out")),
            }
        }
        if !values.is_empty() {
            self.facets.enumeration = Some(values);
        }
        if let Some((_, line)) = patterns.first() {
            let sources: Vec<&str> = patterns.iter().map(|(source, _)| *source).collect();
            let pattern = pattern::from_xsd(&sources)
                .map_err(|reason| WsdlError::PatternUnsupported { line: *line, reason })?;
            self.facets.patterns.push(pattern);
        }
        Ok(self)
    }
}

impl Builtin {
    /// The type with its white space treated as a facet `whiteSpace` says.
    fn with_white_space(self, treatment: &str) -> Builtin {
        match (self, treatment) {
            (Self::String | Self::NormalizedString, "collapse") => Self::Token,
            (Self::String, "replace") => Self::NormalizedString,
            _ => self,
        }
    }
}

fn number<N: std::str::FromStr>(facet: &Element, value: &str) -> Result<N, WsdlError> {
    value.trim().parse().map_err(|_| WsdlError::ValueInvalid {
        line: facet.line,
        place: facet.name.local.clone(),
        expected: "a number",
    })
}
