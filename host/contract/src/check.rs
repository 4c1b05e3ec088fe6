//! Checking a document against a compiled JSON Schema, and wording what is wrong without quoting the value.

use std::fmt;

use jsonschema::error::{ValidationError, ValidationErrorKind};
use jsonschema::paths::Location;
use jsonschema::{Draft, Keyword, PatternOptions, Validator};
use serde_json::{Map, Value};

use crate::json;
use crate::problem::FieldProblem;
use crate::xsd::lexical::{KEYWORD, Lexical};

/// Most problems reported for one document.
pub(crate) const PROBLEMS_MAX: usize = 64;

/// Most memory one compiled pattern may take, in bytes.
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// Most values of an `enum` that a message lists.
const ENUM_LISTED_MAX: usize = 8;

/// A JSON Schema (2020-12) and its compiled form.
pub(crate) struct Schema {
    source: Value,
    validator: Validator,
    report: Report,
}

/// How closely a schema's problems can be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// Every field at fault.
    Fields,
    /// Only that something is wrong. For a schema with a choice between several forms that each lead back to
    /// the choice, the validator tries every path through the forms to collect its errors: two to the power
    /// of the depth, on a request that costs its sender nothing. Telling valid from invalid stays cheap.
    Verdict,
}

impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Schema").field(&self.source).finish()
    }
}

impl Schema {
    /// Compiles a self-contained schema.
    ///
    /// # Errors
    /// The reason in the words of the validator, bounded; it quotes the schema and nothing else.
    pub(crate) fn compile(source: Value, report: Report) -> Result<Schema, String> {
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .with_keyword("type", Types::compile)
            .with_keyword(KEYWORD, compile_lexical)
            .build(&source)
            .map_err(|error| json::excerpt(&format!("{error} at {}", error.instance_path())).into_owned())?;
        Ok(Schema { source, validator, report })
    }

    /// The schema itself, with every definition it uses under `$defs`.
    pub(crate) fn source(&self) -> &Value {
        &self.source
    }

    /// Everything that is wrong with `value`, at most [`PROBLEMS_MAX`]; nothing if it is valid.
    pub(crate) fn problems(&self, value: &Value) -> Vec<FieldProblem> {
        // Most documents are valid, and saying so takes a fraction of what collecting errors takes.
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        if self.report == Report::Verdict {
            return vec![FieldProblem::new("", "schema", "does not fit the contract")];
        }
        let mut problems = Vec::new();
        for error in self.validator.iter_errors(value) {
            describe(&error, &mut problems);
            if problems.len() >= PROBLEMS_MAX {
                break;
            }
        }
        problems.truncate(PROBLEMS_MAX);
        problems
    }
}

/// The keyword `type`, with one difference: an integer is written as one and fits 64 bits.
///
/// JSON Schema counts `1.0` and `1e2` among the integers. An adapter receives the text as it was sent, and
/// the number readers of most languages refuse such text for an integer.
struct Types {
    allowed: Vec<Type>,
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq, strum::EnumString, strum::Display)]
#[strum(serialize_all = "lowercase")]
enum Type {
    #[strum(to_string = "null")]
    Null,
    #[strum(to_string = "`true` or `false`", serialize = "boolean")]
    Boolean,
    #[strum(to_string = "an integer of at most 64 bits", serialize = "integer")]
    Integer,
    #[strum(to_string = "a number", serialize = "number")]
    Number,
    #[strum(to_string = "a string", serialize = "string")]
    String,
    #[strum(to_string = "an array", serialize = "array")]
    Array,
    #[strum(to_string = "an object", serialize = "object")]
    Object,
}

impl Types {
    fn compile<'a>(
        _parent: &'a Map<String, Value>,
        keyword: &'a Value,
        _path: Location,
    ) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
        let names = match keyword {
            Value::Array(names) => names.as_slice(),
            name => std::slice::from_ref(name),
        };
        let allowed = names.iter().map(|name| name.as_str()?.parse().ok()).collect::<Option<Vec<Type>>>();
        let Some(allowed) = allowed else {
            return Err(ValidationError::custom("`type` names no type of JSON Schema"));
        };
        let described: Vec<_> = allowed.iter().map(Type::to_string).collect();
        Ok(Box::new(Types { allowed, message: format!("must be {}", described.join(" or ")) }))
    }
}

impl<'i> Keyword<'i> for Types {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) { Ok(()) } else { Err(ValidationError::custom(self.message.as_str())) }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        self.allowed.iter().any(|allowed| match allowed {
            Type::Null => instance.is_null(),
            Type::Boolean => instance.is_boolean(),
            Type::Integer => instance.is_i64(),
            Type::Number => instance.is_number(),
            Type::String => instance.is_string(),
            Type::Array => instance.is_array(),
            Type::Object => instance.is_object(),
        })
    }
}

/// The keyword for texts that are values of XML Schema's types.
fn compile_lexical<'a>(
    _parent: &'a Map<String, Value>,
    keyword: &'a Value,
    _path: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    match Lexical::from_keyword(keyword) {
        Some(lexical) => Ok(Box::new(lexical)),
        None => {
            Err(ValidationError::custom("`x-xsd` names no type of XML Schema, or a bound it cannot have"))
        }
    }
}

impl<'i> Keyword<'i> for Lexical {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        match instance.as_str().and_then(|text| self.problem(text)) {
            Some(problem) => Err(ValidationError::custom(problem)),
            None => Ok(()),
        }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        instance.as_str().is_none_or(|text| self.problem(text).is_none())
    }
}

/// Appends what one error of the validator says, in our words.
///
/// The validator's own texts quote the value, which may be personal data.
fn describe(error: &ValidationError<'_>, problems: &mut Vec<FieldProblem>) {
    use ValidationErrorKind as Kind;
    let at = error.instance_path().as_str();
    let message = match error.kind() {
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            return problems.push(member_problem(at, name, "required", "is missing"));
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let code = error.kind().keyword().to_owned();
            return problems.extend(
                unexpected
                    .iter()
                    .map(|name| member_problem(at, name, code.clone(), "is not in the contract")),
            );
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => match intended_form(at, context) {
            Some(errors) => return errors.iter().for_each(|error| describe(error, problems)),
            None => "fits none of the forms the contract allows".to_owned(),
        },
        Kind::OneOfMultipleValid { .. } => "fits more than one of the forms of which one must fit".to_owned(),
        Kind::Custom { message, .. } => message.clone(),
        Kind::Constant { expected_value } => format!("must be {expected_value}"),
        Kind::Enum { options } => allowed_values(options),
        Kind::Pattern { pattern } => format!("must match {pattern}"),
        Kind::Format { format } => format!("must have the format {format}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::UniqueItems => "must not have equal items".to_owned(),
        Kind::Contains => "lacks an item the contract asks for".to_owned(),
        Kind::PropertyNames { .. } => "has a member whose name the contract does not allow".to_owned(),
        Kind::UnevaluatedItems { .. } | Kind::AdditionalItems { .. } => {
            "has more items than the contract allows".to_owned()
        }
        Kind::FalseSchema => "is not allowed here".to_owned(),
        _ => "does not fit the contract".to_owned(),
    };
    let code = error.kind().keyword().to_owned();
    problems.push(FieldProblem::new(at, code, json::excerpt(&message)));
}

fn member_problem(
    object: &str,
    name: &str,
    code: impl Into<std::borrow::Cow<'static, str>>,
    message: &str,
) -> FieldProblem {
    let mut pointer = object.to_owned();
    json::push_step(&mut pointer, name);
    FieldProblem::new(&pointer, code, message)
}

/// Of several forms that all failed, the one the sender must have meant: the only one of the right type.
///
/// This is what makes "an address or null" name the field of the address.
fn intended_form<'e>(
    at: &str,
    forms: &'e [Vec<ValidationError<'static>>],
) -> Option<&'e [ValidationError<'static>]> {
    let is_other_type = |error: &ValidationError<'_>| {
        error.instance_path().as_str() == at && error.kind().keyword() == "type"
    };
    let mut candidates = forms.iter().filter(|errors| !errors.iter().any(is_other_type));
    match (candidates.next(), candidates.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

fn allowed_values(options: &Value) -> String {
    match options.as_array() {
        Some(values) if values.len() <= ENUM_LISTED_MAX => {
            let listed: Vec<_> = values.iter().map(Value::to_string).collect();
            format!("must be one of {}", listed.join(", "))
        }
        _ => "must be one of the values the contract lists".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: Value, value: &Value, expected: &[(&str, &str, &str)]) {
        let problems = Schema::compile(schema, Report::Fields).unwrap().problems(value);
        let found: Vec<_> =
            problems.iter().map(|problem| (&*problem.pointer, &*problem.code, &*problem.message)).collect();
        assert_eq!(found, expected);
    }

    fn person() -> Value {
        json!({
            "type": "object",
            "required": ["pin", "surname"],
            "additionalProperties": false,
            "properties": {
                "pin": {"type": "string", "pattern": "^\\d{14}$"},
                "surname": {"type": "string", "minLength": 1, "maxLength": 3},
                "sex": {"enum": ["MALE", "FEMALE"]},
                "born": {"type": "string", "format": "date"},
                "children": {"type": "integer", "minimum": 0, "maximum": 20},
                "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true, "maxItems": 2},
            },
        })
    }

    #[test]
    fn finds_nothing_in_a_valid_value() {
        check(
            person(),
            &json!({"pin": "12345678901234", "surname": "Ан", "born": "2024-02-29", "children": 2}),
            &[],
        );
    }

    #[test]
    fn names_every_field_at_fault_without_quoting_it() {
        check(
            person(),
            &json!({"pin": "secret", "sex": "secret", "born": "2023-02-29", "children": 21, "a/b": "secret"}),
            &[
                ("/surname", "required", "is missing"),
                ("/pin", "pattern", "must match ^\\d{14}$"),
                ("/sex", "enum", "must be one of \"MALE\", \"FEMALE\""),
                ("/born", "format", "must have the format date"),
                ("/children", "maximum", "must be at most 20"),
                ("/a~1b", "additionalProperties", "is not in the contract"),
            ],
        );
    }

    #[test]
    fn counts_characters_not_bytes() {
        check(
            person(),
            &json!({"pin": "12345678901234", "surname": "Асан"}),
            &[("/surname", "maxLength", "must have at most 3 characters")],
        );
    }

    #[test]
    fn refuses_an_integer_not_written_as_one() {
        for text in ["1.0", "1e1", "-0", "9223372036854775808"] {
            let value = json!({"n": serde_json::from_str::<Value>(text).unwrap()});
            check(
                json!({"properties": {"n": {"type": "integer"}}}),
                &value,
                &[("/n", "type", "must be an integer of at most 64 bits")],
            );
        }
    }

    #[test]
    fn names_all_types_where_several_are_allowed() {
        check(
            json!({"items": {"type": ["string", "null"]}}),
            &json!(["a", null, 1]),
            &[("/2", "type", "must be a string or null")],
        );
    }

    #[test]
    fn looks_into_the_one_form_that_was_meant() {
        let schema = json!({"properties": {"address": {"anyOf": [
            {"type": "object", "properties": {"zip": {"type": "string"}}}, {"type": "null"},
        ]}}});
        check(schema, &json!({"address": {"zip": 1}}), &[("/address/zip", "type", "must be a string")]);
    }

    #[test]
    fn says_so_when_no_form_was_clearly_meant() {
        check(
            json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            &json!({}),
            &[("", "oneOf", "fits none of the forms the contract allows")],
        );
    }

    #[test]
    fn reports_a_bounded_number_of_problems() {
        let schema = Schema::compile(json!({"items": {"type": "string"}}), Report::Fields).unwrap();
        assert_eq!(schema.problems(&json!(vec![1; 1000])).len(), PROBLEMS_MAX);
    }

    #[test]
    fn refuses_a_pattern_that_could_backtrack() {
        for pattern in ["(?=a)b", "(a)\\1"] {
            assert!(Schema::compile(json!({"pattern": pattern}), Report::Fields).is_err(), "{pattern}");
        }
    }

    #[test]
    fn refuses_a_pattern_that_explodes() {
        assert!(Schema::compile(json!({"pattern": "((a{100}){100}){100}"}), Report::Fields).is_err());
    }

    #[test]
    fn matches_a_hostile_pattern_in_linear_time() {
        check(
            json!({"pattern": "^(a+)+$"}),
            &json!(format!("{}!", "a".repeat(50_000))),
            &[("", "pattern", "must match ^(a+)+$")],
        );
    }

    #[test]
    fn checks_a_recursive_schema() {
        let schema = json!({
            "$ref": "#/$defs/tree",
            "$defs": {"tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}}}},
        });
        check(
            schema,
            &json!({"left": {"left": {"left": 1}}}),
            &[("/left/left/left", "type", "must be an object")],
        );
    }

    #[test]
    fn checks_a_recursive_choice_without_trying_every_path() {
        let branch = |tag: &str| json!({"type": "object", "required": [tag], "properties": {"next": {"$ref": "#/$defs/node"}}});
        let schema = json!({
            "$ref": "#/$defs/node",
            "$defs": {"node": {"oneOf": [branch("a"), branch("b"), branch("c")]}},
        });
        let schema = Schema::compile(schema, Report::Verdict).unwrap();
        let nested = |innermost| (0..30).fold(innermost, |inner, _| json!({"a": 1, "next": inner}));
        assert_eq!(schema.problems(&nested(json!({"a": 1}))), []);
        let refused = [FieldProblem::new("", "schema", "does not fit the contract")];
        assert_eq!(schema.problems(&nested(json!({}))), refused);
    }
}
