//! Where a field's value comes from, and what is done to it on the way.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::calendar::DatePattern;
use crate::decimal;
use crate::found::Found;
use crate::node::{Members, Node};
use crate::pointer::Pointer;
use crate::table::{Key, Reason, Refusal, Table, members};

const DEPTH_MAX: usize = 8;
const FIELDS_MAX: usize = 1000;
/// More digits than any currency has.
const DIGITS_MAX: u64 = 18;

/// Fields by name, in the mapping's order.
#[derive(Debug, Clone, Default)]
pub struct Fields(pub(crate) Vec<(String, Expression)>);

/// What stands at a field.
#[derive(Debug, Clone)]
pub enum Expression {
    /// The value itself: `{ value = "KG" }`, `true`, `7`.
    Constant(Found<'static>),
    /// A value that is looked up and converted: `"/sex"`, `{ from = "/sex", codes = "sex" }`.
    Lookup(Box<Lookup>),
    /// An object: `{ object = { … } }`.
    Object(Fields),
    /// An object for each item of a list: `{ each = "/rows", item = { … } }`.
    Each(Pointer, Fields),
}

/// A value that is looked up and converted.
#[derive(Debug, Clone)]
pub struct Lookup {
    pub(crate) origin: Origin,
    pub(crate) pointer: Pointer,
    default: Option<Found<'static>>,
    date: Option<(DatePattern, DatePattern)>,
    codes: Option<Rc<CodeTable>>,
    prefix: String,
    suffix: String,
    form: Option<Form>,
    digits: Option<usize>,
    pub(crate) nullable: bool,
}

/// Into what a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// What is being read: the request for parameters, what came for an answer, the item within a list.
    Current,
    /// The request.
    Request,
}

/// What a scalar is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Integer,
    Decimal,
}

type CodeTable = BTreeMap<String, Found<'static>>;

/// The tables `[codes.NAME]`.
#[derive(Debug, Clone, Default)]
pub struct CodeTables(BTreeMap<String, Rc<CodeTable>>);

impl CodeTables {
    /// Reads the table `codes` of `map.toml`.
    ///
    /// # Errors
    /// [`Refusal`], if it is not a table of tables of scalars.
    pub fn parse(tables: &Node<'_>) -> Result<Self, Refusal> {
        let key = Key::new("codes");
        let mut read = BTreeMap::new();
        for (name, table) in members(key, tables)? {
            let key = key.child(name);
            let mut codes = CodeTable::new();
            for (code, value) in members(key, table)? {
                codes.insert(code.to_string(), scalar(key.child(code), value)?);
            }
            read.insert(name.to_string(), Rc::new(codes));
        }
        Ok(Self(read))
    }
}

fn scalar(key: Key<'_>, node: &Node<'_>) -> Result<Found<'static>, Refusal> {
    match node {
        Node::List(_) | Node::Table(_) => Err(key.refuse(Reason::NotA("a text, a number, true or false"))),
        _ => Ok(Found::in_mapping(node)),
    }
}

/// Reads the expressions of one operation.
pub(crate) struct Reader<'c> {
    codes: &'c CodeTables,
    fields_left: usize,
    depth: usize,
}

impl<'c> Reader<'c> {
    pub(crate) fn new(codes: &'c CodeTables) -> Self {
        Self { codes, fields_left: FIELDS_MAX, depth: 0 }
    }

    /// Fields with values of any shape.
    pub(crate) fn fields(&mut self, key: Key<'_>, node: &Node<'_>) -> Result<Fields, Refusal> {
        if self.depth == DEPTH_MAX {
            return Err(key.refuse(Reason::TooDeep(DEPTH_MAX)));
        }
        self.depth += 1;
        let mut fields = Vec::new();
        for (name, value) in members(key, node)? {
            let key = key.child(name);
            self.fields_left = match self.fields_left.checked_sub(1) {
                Some(left) => left,
                None => return Err(key.refuse(Reason::TooMany(FIELDS_MAX))),
            };
            fields.push((name.to_string(), self.expression(key, value)?));
        }
        self.depth -= 1;
        Ok(Fields(fields))
    }

    /// Fields whose values are scalars: parameters.
    pub(crate) fn scalars(&mut self, key: Key<'_>, node: &Node<'_>) -> Result<Fields, Refusal> {
        let fields = self.fields(key, node)?;
        let is_composite =
            |expression: &Expression| matches!(expression, Expression::Object(_) | Expression::Each(..));
        match fields.0.iter().find(|(_, expression)| is_composite(expression)) {
            Some((name, _)) => Err(key.child(name).refuse(Reason::NotA("a path or a single value"))),
            None => Ok(fields),
        }
    }

    pub(crate) fn expression(&mut self, key: Key<'_>, node: &Node<'_>) -> Result<Expression, Refusal> {
        match node {
            Node::Text(path) => Ok(Expression::Lookup(Box::new(Lookup::plain(pointer(key, path)?)))),
            Node::Boolean(_) | Node::Number(_) => Ok(Expression::Constant(Found::in_mapping(node))),
            Node::Table(members) => self.table(Table::read(key, node)?, members),
            Node::List(_) => Err(key.refuse(Reason::NotA("a path, a number, a table, true or false"))),
        }
    }

    fn table(&mut self, mut table: Table<'_>, members: &Members<'_>) -> Result<Expression, Refusal> {
        const KINDS: [&str; 5] = ["from", "request", "value", "object", "each"];
        let mut kinds = KINDS.into_iter().filter(|kind| members.iter().any(|(name, _)| name == kind));
        let (Some(kind), None) = (kinds.next(), kinds.next()) else {
            return Err(table
                .key
                .refuse(Reason::NotOneOf("`from`, `request`, `value`, `object` and `each`")));
        };
        let key = table.key;
        let expression = match kind {
            "value" => Expression::Constant(Found::in_mapping(table.required("value")?)),
            "object" => Expression::Object(self.fields(key.child("object"), table.required("object")?)?),
            "each" => {
                let list = pointer(key.child("each"), table.required_text("each")?)?;
                Expression::Each(list, self.fields(key.child("item"), table.required("item")?)?)
            }
            _ => Expression::Lookup(Box::new(self.lookup(&mut table)?)),
        };
        table.end()?;
        Ok(expression)
    }

    fn lookup(&self, table: &mut Table<'_>) -> Result<Lookup, Refusal> {
        let key = table.key;
        let (origin, name, path) = match table.text("from")? {
            Some(path) => (Origin::Current, "from", path),
            None => (Origin::Request, "request", table.required_text("request")?),
        };
        let codes = match table.text("codes")? {
            None => None,
            Some(name) => match self.codes.0.get(name) {
                Some(codes) => Some(Rc::clone(codes)),
                None => return Err(key.child("codes").refuse(Reason::UnknownCodes(name.to_owned()))),
            },
        };
        let form = match table.text("as")? {
            None => None,
            Some("text") => Some(Form::Text),
            Some("integer") => Some(Form::Integer),
            Some("decimal") => Some(Form::Decimal),
            Some(_) => return Err(key.child("as").refuse(Reason::NotA("text, integer or decimal"))),
        };
        let digits = match table.take("digits") {
            None => None,
            Some(Node::Number(digits)) if digits.as_u64().is_some_and(|digits| digits <= DIGITS_MAX) => {
                digits.as_u64().map(|digits| digits as usize)
            }
            Some(_) => return Err(key.child("digits").refuse(Reason::NotA("a number from 0 to 18"))),
        };
        let nullable = match table.take("nullable") {
            None => false,
            Some(Node::Boolean(nullable)) => *nullable,
            Some(_) => return Err(key.child("nullable").refuse(Reason::NotA("true or false"))),
        };
        let default = table.take("default");
        let default = default.map(|default| scalar(key.child("default"), default)).transpose()?;
        Ok(Lookup {
            origin,
            pointer: pointer(key.child(name), path)?,
            default,
            date: dates(table)?,
            codes,
            prefix: table.text("prefix")?.unwrap_or_default().to_owned(),
            suffix: table.text("suffix")?.unwrap_or_default().to_owned(),
            form,
            digits,
            nullable,
        })
    }
}

/// `date = { read = "dd.mm.yyyy" }`: how the date is written, and how it is to be; ISO 8601 unless said.
fn dates(table: &mut Table<'_>) -> Result<Option<(DatePattern, DatePattern)>, Refusal> {
    let Some(value) = table.take("date") else { return Ok(None) };
    let mut table = Table::read(table.key.child("date"), value)?;
    let mut pattern = |name| match table.text(name)? {
        None => Ok(DatePattern::iso()),
        Some(text) => {
            DatePattern::parse(text).ok_or_else(|| table.key.child(name).refuse(Reason::DatePattern))
        }
    };
    let patterns = (pattern("read")?, pattern("write")?);
    table.end()?;
    Ok(Some(patterns))
}

pub(crate) fn pointer(key: Key<'_>, text: &str) -> Result<Pointer, Refusal> {
    Pointer::parse(text).ok_or_else(|| key.refuse(Reason::Path))
}

impl Lookup {
    pub(crate) fn plain(pointer: Pointer) -> Self {
        Self {
            origin: Origin::Current,
            pointer,
            default: None,
            date: None,
            codes: None,
            prefix: String::new(),
            suffix: String::new(),
            form: None,
            digits: None,
            nullable: false,
        }
    }

    /// What was found, converted; or what is wrong with it.
    pub(crate) fn convert<'a>(&'a self, found: Found<'a>) -> Result<Found<'a>, &'static str> {
        let mut found = match (found, &self.default) {
            (Found::Nothing, None) => return Ok(Found::Nothing),
            // What the mapping says itself needs no conversion.
            (Found::Nothing, Some(default)) => return Ok(default.borrowed()),
            (found, _) => found,
        };
        if let Some((read, write)) = &self.date {
            let date = found.as_text().and_then(|date| read.rewritten(date, write));
            found = Found::Text(date.ok_or("is no date as `date` says")?.into());
        }
        if let Some(codes) = &self.codes {
            let value = found.as_text().and_then(|code| codes.get(code));
            found = value.ok_or("is none of the codes")?.borrowed();
        }
        if !(self.prefix.is_empty() && self.suffix.is_empty()) {
            let text = found.as_text().ok_or("is no single value")?;
            found = Found::Text(format!("{}{text}{}", self.prefix, self.suffix).into());
        }
        if let Some(digits) = self.digits {
            let number = found.as_text().and_then(|number| decimal::with_digits(number, digits));
            found = Found::Number(number.ok_or("is no decimal of so few digits")?.into());
        }
        match self.form {
            None => Ok(found),
            Some(Form::Text) => {
                Ok(Found::Text(found.as_text().ok_or("is no single value")?.to_owned().into()))
            }
            Some(Form::Decimal) => match found.as_text().filter(|number| decimal::is_decimal(number)) {
                Some(number) => Ok(Found::Number(number.to_owned().into())),
                None => Err("is no decimal"),
            },
            Some(Form::Integer) => match found.as_text().and_then(|number| decimal::with_digits(number, 0)) {
                Some(number) => Ok(Found::Number(number.into())),
                None => Err("is no whole number"),
            },
        }
    }
}
