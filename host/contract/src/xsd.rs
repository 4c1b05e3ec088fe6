//! The types of a contract's XML: what stands between `Operation`s, which speak JSON, and the messages of SOAP.
//!
//! They are read from XML Schema ([`read`]) or made from the JSON Schemas of an OpenAPI document ([`from_json`]). From
//! them come JSON Schemas ([`json_schema`]), XML Schema ([`mod@write`]), and the way of a message from XML to JSON and back
//! (`crate::soap`).
//!
//! An element's value is told as JSON by these rules, which lose nothing:
//!
//! - An element with children is an object with a member for each attribute and each child, by local name. Text beside
//!   attributes is the member `value`. An attribute whose name is taken is called `@name`.
//! - A child that may repeat is an array, whether it is there 0, 1 or many times. It is always there, unless it belongs to
//!   a choice or an optional group; then it is there if it has items.
//! - A named type `ArrayOf…` with one repeated child is an array of that child.
//! - `xsi:nil` is `null`.
//! - Booleans, integers, floats and doubles are JSON's; all else is text. So decimals keep every digit, and so do integers
//!   whose type has a pattern.

pub(crate) mod builtin;
pub(crate) mod facets;
pub(crate) mod from_json;
pub(crate) mod json_schema;
pub(crate) mod lexical;
pub(crate) mod pattern;
pub(crate) mod read;
pub(crate) mod write;

use std::collections::BTreeMap;

use crate::xml::Name;
use builtin::Builtin;
use facets::Facets;

/// The namespace of XML Schema.
pub(crate) const XSD: &str = "http://www.w3.org/2001/XMLSchema";
/// The namespace of what XML Schema says inside messages, such as `xsi:nil`.
pub(crate) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Types, which refer to each other by number and so may recurse.
#[derive(Debug, Default)]
pub(crate) struct Types {
    types: Vec<Type>,
}

/// Number of a type among its [`Types`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TypeId(usize);

#[derive(Debug)]
pub(crate) struct Type {
    /// Of a type, or of an element with a type of its own, that others may refer to.
    pub(crate) name: Option<Name>,
    pub(crate) note: Note,
    pub(crate) form: Form,
}

#[derive(Debug)]
pub(crate) enum Form {
    /// Text.
    Simple(Simple),
    /// `ArrayOf…`: the repeated child.
    Array(Field),
    /// Attributes and children.
    Object(Object),
}

/// A type without children.
#[derive(Debug, Clone)]
pub(crate) struct Simple {
    pub(crate) builtin: Builtin,
    pub(crate) facets: Facets,
}

/// What an element with attributes or children holds.
#[derive(Debug, Default)]
pub(crate) struct Object {
    pub(crate) attributes: Vec<Attribute>,
    /// Text, if it has no children.
    pub(crate) text: Option<Simple>,
    /// Children, in their order.
    pub(crate) fields: Vec<Field>,
    /// Which children stand together.
    pub(crate) group: Group,
    /// Whether children may come in any order (`xsd:all`).
    pub(crate) any_order: bool,
}

/// The member for the text of an element with attributes.
pub(crate) const TEXT_MEMBER: &str = "value";

#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) name: Name,
    /// Its name in JSON.
    pub(crate) member: String,
    pub(crate) simple: Simple,
    pub(crate) required: bool,
    pub(crate) note: Note,
}

/// A child element.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: Name,
    pub(crate) type_id: TypeId,
    pub(crate) min: u32,
    pub(crate) max: Max,
    pub(crate) nillable: bool,
    /// Whether it belongs to a choice or an optional group: then an array without items is left out.
    pub(crate) conditional: bool,
    pub(crate) note: Note,
}

/// How often an element may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Max {
    Once,
    Times(u32),
    Unbounded,
}

impl Field {
    pub(crate) fn is_repeated(&self) -> bool {
        self.max != Max::Once
    }

    /// Its name in JSON.
    pub(crate) fn member(&self) -> &str {
        &self.name.local
    }
}

/// Which of an object's fields, by number, stand together.
#[derive(Debug, Clone)]
pub(crate) enum Group {
    Field(usize),
    All(Vec<Group>),
    /// One of them; a choice that may be left out has an empty [`Group::All`] among them.
    OneOf(Vec<Group>),
}

impl Default for Group {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Group {
    /// The numbers of all fields in it.
    pub(crate) fn fields(&self) -> Vec<usize> {
        match self {
            Self::Field(index) => vec![*index],
            Self::All(groups) | Self::OneOf(groups) => groups.iter().flat_map(Group::fields).collect(),
        }
    }
}

/// What a contract tells people about a type, field or operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// By language; the key of a title without one is empty.
    pub(crate) titles: BTreeMap<String, String>,
    pub(crate) text: Option<String>,
}

impl Note {
    /// One line in the first of these languages that it has: none, English, any.
    pub(crate) fn title(&self) -> Option<&str> {
        let named = ["", "en"].iter().find_map(|language| self.titles.get(*language));
        named.or_else(|| self.titles.values().next()).map(String::as_str)
    }
}

impl Types {
    /// The type of this number.
    #[expect(clippy::indexing_slicing, reason = "numbers come only from adding to the same types")]
    pub(crate) fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0]
    }

    pub(crate) fn add(&mut self, new: Type) -> TypeId {
        self.types.push(new);
        TypeId(self.types.len() - 1)
    }

    /// Puts the finished form of a type in place of what it was added with.
    #[expect(clippy::indexing_slicing, reason = "numbers come only from adding to the same types")]
    pub(crate) fn finish(&mut self, id: TypeId, form: Form) {
        self.types[id.0].form = form;
    }
}

/// An element that an operation takes or answers with.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub(crate) name: Name,
    pub(crate) type_id: TypeId,
    pub(crate) nillable: bool,
}
