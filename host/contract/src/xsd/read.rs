//! From the schemas of a WSDL to [`Types`], as far as operations lead to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::builtin::Builtin;
use super::facets::Facets;
use super::{
    Attribute, Field, Form, Group, Max, Note, Object, Root, Simple, TEXT_MEMBER, Type, TypeId, Types, XSD,
};
use crate::json;
use crate::wsdl::WsdlError;
use crate::xml::{Element, Name, is_name};

/// Longest line of bases, and deepest nesting of groups.
const DERIVATIONS_MAX: usize = 32;

/// Most elements, attributes and groups that are looked at, a group or base counting each time it is used.
const STEPS_MAX: usize = 100_000;

/// Most children, and most attributes, of one element.
const FIELDS_MAX: usize = 1_000;

/// The namespaces of X-Road's titles, of messages 4.0 and of what came before.
pub(crate) const XROAD: [&str; 2] = ["http://x-road.eu/xsd/xroad.xsd", "http://x-road.ee/xsd/x-road.xsd"];
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// What a schema can declare at its top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
enum Kind {
    Element,
    #[strum(to_string = "type", serialize = "simpleType", serialize = "complexType")]
    Type,
    Group,
    AttributeGroup,
    Attribute,
}

/// A node of a schema, with what the schema says for all of them.
#[derive(Debug, Clone, Copy)]
struct Place<'d> {
    node: &'d Element,
    schema: &'d Element,
}

/// Reads types on demand.
#[derive(Debug)]
pub(crate) struct SchemaReader<'d> {
    declared: BTreeMap<(Kind, Name), Place<'d>>,
    /// Namespaces that a schema imports, with where from.
    imports: BTreeMap<&'d str, Option<&'d str>>,
    /// Elements that others may stand in for.
    substituted: BTreeSet<Name>,
    types: Types,
    known: BTreeMap<(Kind, Name), TypeId>,
    /// First come, first read: what is refused is the first thing that is wrong.
    waiting: VecDeque<(TypeId, Place<'d>)>,
    steps: usize,
}

impl<'d> SchemaReader<'d> {
    /// Takes down what `schemas` declare.
    pub(crate) fn new(schemas: impl Iterator<Item = &'d Element>) -> Result<Self, WsdlError> {
        let mut reader = Self {
            declared: BTreeMap::new(),
            imports: BTreeMap::new(),
            substituted: BTreeSet::new(),
            types: Types::default(),
            known: BTreeMap::new(),
            waiting: VecDeque::new(),
            steps: 0,
        };
        for schema in schemas {
            for node in schema.children.iter().filter(|node| node.name.namespace == XSD) {
                reader.declare(Place { node, schema })?;
            }
        }
        Ok(reader)
    }

    fn declare(&mut self, place: Place<'d>) -> Result<(), WsdlError> {
        let Place { node, schema } = place;
        let namespace = schema.attribute("targetNamespace").unwrap_or_default();
        match node.name.local.as_str() {
            "import" => {
                let location = node.attribute("schemaLocation");
                self.imports.insert(node.attribute("namespace").unwrap_or_default(), location);
                return Ok(());
            }
            "include" => {
                self.imports.insert(namespace, node.attribute("schemaLocation"));
                return Ok(());
            }
            "redefine" => {
                return Err(WsdlError::unsupported(node, "redefining a schema", "write the types out"));
            }
            _ => {}
        }
        // Notations and notes declare nothing that values have.
        let Ok(kind) = node.name.local.parse::<Kind>() else { return Ok(()) };
        let name = Name::new(namespace, place.name()?);
        if let Some(head) = node.attribute("substitutionGroup") {
            self.substituted.insert(resolve(node, head)?);
        }
        match self.declared.insert((kind, name), place) {
            Some(_) => Err(WsdlError::Duplicate { line: node.line, name: place.name()?.to_owned() }),
            None => Ok(()),
        }
    }

    /// The element that a message holds.
    pub(crate) fn root(&mut self, name: &Name, line: u64) -> Result<Root, WsdlError> {
        let place = self.find(Kind::Element, name, line)?;
        Ok(Root {
            name: name.clone(),
            type_id: self.element_type(place)?,
            nillable: flag(place.node, "nillable")?,
        })
    }

    /// The wrapper element of style `rpc`: a child for each part, which has a type and no namespace.
    pub(crate) fn wrapper(&mut self, name: Name, parts: &[(&'d Element, &str)]) -> Result<Root, WsdlError> {
        let mut object = Object::default();
        for (part, type_name) in parts {
            let field = Field {
                name: Name::new("", part.attribute("name").unwrap_or_default()),
                type_id: self.named_type(&resolve(part, type_name)?, part.line)?,
                min: 1,
                max: Max::Once,
                nillable: false,
                conditional: false,
                note: Note::default(),
            };
            object.add(field, part.line)?;
        }
        object.group = Group::All((0..object.fields.len()).map(Group::Field).collect());
        let wrapper = Type { name: None, note: Note::default(), form: Form::Object(object) };
        Ok(Root { name, type_id: self.types.add(wrapper), nillable: false })
    }

    /// Reads all that the roots lead to.
    pub(crate) fn finish(mut self) -> Result<Types, WsdlError> {
        while let Some((id, place)) = self.waiting.pop_front() {
            let form = self.form(place, id)?;
            self.types.finish(id, form);
        }
        Ok(self.types)
    }

    fn find(&self, kind: Kind, name: &Name, line: u64) -> Result<Place<'d>, WsdlError> {
        if let Some(place) = self.declared.get(&(kind, name.clone())) {
            return Ok(*place);
        }
        let remedy = match self.imports.get(name.namespace.as_str()) {
            Some(Some(location)) => {
                let location = json::excerpt(location);
                format!("files are not followed: put the schema at `{location}` into `wsdl:types`")
            }
            Some(None) => {
                "its namespace is imported from nowhere: put its schema into `wsdl:types`".to_owned()
            }
            None if self
                .declared
                .keys()
                .any(|(declared, other)| *declared == kind && other.local == name.local) =>
            {
                "it is declared in another namespace: correct the prefix".to_owned()
            }
            None => "declare it, or correct the name".to_owned(),
        };
        Err(WsdlError::Unresolved {
            line,
            what: kind.into(),
            name: json::excerpt(&name.local).into_owned(),
            namespace: json::excerpt(&name.namespace).into_owned(),
            remedy,
        })
    }

    fn step(&mut self) -> Result<(), WsdlError> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(WsdlError::TooLarge { what: "elements, attributes and groups", max: STEPS_MAX });
        }
        Ok(())
    }

    /// The type of an element, declared at the top or in a content.
    fn element_type(&mut self, place: Place<'d>) -> Result<TypeId, WsdlError> {
        let Place { node, schema } = place;
        if let Some(type_name) = node.attribute("type") {
            return self.named_type(&resolve(node, type_name)?, node.line);
        }
        if node.attribute("substitutionGroup").is_some() {
            return Err(WsdlError::unsupported(node, "standing in for another element", "name its type"));
        }
        let own =
            node.children.iter().find(|child| child.is(XSD, "simpleType") || child.is(XSD, "complexType"));
        let Some(own) = own else {
            let remedy = "name its type: `<xsd:complexType/>` is an empty one";
            return Err(WsdlError::unsupported(
                node,
                "an element without a type, which may hold anything",
                remedy,
            ));
        };
        // An element at the top may be referred to, and so contain itself.
        let is_global = schema.children.iter().any(|child| std::ptr::eq(child, node));
        let name = if is_global { Some(Name::new(place.namespace(), place.name()?)) } else { None };
        self.add_type(Kind::Element, name, Place { node: own, schema })
    }

    fn named_type(&mut self, name: &Name, line: u64) -> Result<TypeId, WsdlError> {
        if name.namespace != XSD {
            let place = self.find(Kind::Type, name, line)?;
            return self.add_type(Kind::Type, Some(name.clone()), place);
        }
        let key = (Kind::Type, name.clone());
        if let Some(id) = self.known.get(&key) {
            return Ok(*id);
        }
        let simple = Simple::of(builtin(name, line)?);
        let id = self.types.add(Type { name: None, note: Note::default(), form: Form::Simple(simple) });
        self.known.insert(key, id);
        Ok(id)
    }

    /// A number for a type, which is read later: it may lead back to itself.
    fn add_type(&mut self, kind: Kind, name: Option<Name>, place: Place<'d>) -> Result<TypeId, WsdlError> {
        let known = name.as_ref().and_then(|name| self.known.get(&(kind, name.clone())));
        if let Some(id) = known {
            return Ok(*id);
        }
        self.step()?;
        let form = Form::Object(Object::default());
        let id = self.types.add(Type { name: name.clone(), note: note(place.node), form });
        if let Some(name) = name {
            self.known.insert((kind, name), id);
        }
        self.waiting.push_back((id, place));
        Ok(id)
    }

    fn form(&mut self, place: Place<'d>, id: TypeId) -> Result<Form, WsdlError> {
        if place.node.is(XSD, "simpleType") {
            return self.simple(place, 0).map(Form::Simple);
        }
        if flag(place.node, "abstract")? {
            let remedy = "name the type that is meant, or make it a choice of elements";
            return Err(WsdlError::unsupported(place.node, "a type that only others derive from", remedy));
        }
        let mut object = self.complex(place, 0)?;
        let is_array = self.types.get(id).name.as_ref().is_some_and(|name| name.local.starts_with("ArrayOf"))
            && object.attributes.is_empty()
            && matches!(object.fields.as_slice(), [only] if only.is_repeated() && !only.conditional);
        match object.fields.pop() {
            Some(item) if is_array => Ok(Form::Array(item)),
            last => {
                object.fields.extend(last);
                Ok(Form::Object(object))
            }
        }
    }

    /// Reads an `xsd:simpleType`.
    fn simple(&mut self, place: Place<'d>, depth: usize) -> Result<Simple, WsdlError> {
        place.check_depth(depth)?;
        self.step()?;
        let Place { node, schema } = place;
        let Some(restriction) = node.first(XSD, "restriction") else {
            let remedy = "use a repeated element, or one type";
            return Err(WsdlError::unsupported(node, "a list or union of values", remedy));
        };
        let base = match (restriction.attribute("base"), restriction.first(XSD, "simpleType")) {
            (Some(base), _) => {
                self.simple_named(&resolve(restriction, base)?, restriction.line, depth + 1)?
            }
            (None, Some(own)) => self.simple(Place { node: own, schema }, depth + 1)?,
            (None, None) => {
                let element = "restriction".to_owned();
                return Err(WsdlError::AttributeMissing {
                    line: restriction.line,
                    element,
                    attribute: "base",
                });
            }
        };
        base.restricted(restriction)
    }

    fn simple_named(&mut self, name: &Name, line: u64, depth: usize) -> Result<Simple, WsdlError> {
        if name.namespace == XSD {
            return builtin(name, line).map(Simple::of);
        }
        let place = self.find(Kind::Type, name, line)?;
        if !place.node.is(XSD, "simpleType") {
            let remedy = "name a simple type here";
            return Err(WsdlError::Unsupported {
                line,
                construct: "a complex type as a value".to_owned(),
                remedy,
            });
        }
        self.simple(place, depth)
    }

    /// Reads an `xsd:complexType`.
    fn complex(&mut self, place: Place<'d>, depth: usize) -> Result<Object, WsdlError> {
        place.check_depth(depth)?;
        self.step()?;
        let Place { node, schema } = place;
        if flag(node, "mixed")? {
            let remedy = "give the text an element of its own";
            return Err(WsdlError::unsupported(node, "text between elements", remedy));
        }
        let at = |node| Place { node, schema };
        if let Some(content) = node.first(XSD, "simpleContent") {
            return self.derived(at(content), depth, |reader, base, derivation| {
                let mut object = match base {
                    Base::Builtin(name) => {
                        let simple = reader.simple_named(&name, derivation.node.line, depth + 1)?;
                        Object { text: Some(simple), ..Object::default() }
                    }
                    Base::Simple(place) => {
                        Object { text: Some(reader.simple(place, depth + 1)?), ..Object::default() }
                    }
                    Base::Complex(place) => reader.complex(place, depth + 1)?,
                };
                if derivation.node.is(XSD, "restriction") {
                    object.text = object.text.map(|text| text.restricted(derivation.node)).transpose()?;
                }
                Ok(object)
            });
        }
        if let Some(content) = node.first(XSD, "complexContent") {
            if flag(content, "mixed")? {
                let remedy = "give the text an element of its own";
                return Err(WsdlError::unsupported(content, "text between elements", remedy));
            }
            return self.derived(at(content), depth, |reader, base, derivation| {
                let mut object = match base {
                    Base::Complex(place) => reader.complex(place, depth + 1)?,
                    // Everything derives from `anyType`.
                    Base::Builtin(name) if name.local == "anyType" => Object::default(),
                    _ => {
                        return Err(WsdlError::unsupported(
                            derivation.node,
                            "children in a value",
                            "name a complex type",
                        ));
                    }
                };
                if derivation.node.is(XSD, "restriction") {
                    object = Object { attributes: object.attributes, ..Object::default() };
                }
                let own = reader.content(derivation, &mut object, depth)?;
                object.append(own);
                Ok(object)
            });
        }
        let mut object = Object::default();
        object.group = self.content(at(node), &mut object, depth)?;
        self.attributes(at(node), &mut object, depth)?;
        Ok(object)
    }

    /// Reads `simpleContent` or `complexContent`, whose one child derives from a base.
    fn derived(
        &mut self,
        content: Place<'d>,
        depth: usize,
        read: impl FnOnce(&mut Self, Base<'d>, Place<'d>) -> Result<Object, WsdlError>,
    ) -> Result<Object, WsdlError> {
        let is_derivation = |child: &&Element| child.is(XSD, "extension") || child.is(XSD, "restriction");
        let Some(node) = content.node.children.iter().find(is_derivation) else {
            return Err(WsdlError::unsupported(
                content.node,
                "content that derives from nothing",
                "name its base",
            ));
        };
        let derivation = Place { node, schema: content.schema };
        let missing = || {
            let element = node.name.local.clone();
            WsdlError::AttributeMissing { line: node.line, element, attribute: "base" }
        };
        let name = resolve(node, node.attribute("base").ok_or_else(missing)?)?;
        if name.local == "Array" && name.namespace == SOAP_ENCODING {
            let remedy = "make it a sequence with one repeated element";
            return Err(WsdlError::unsupported(node, "an array of SOAP's encoding", remedy));
        }
        let base = match name.namespace.as_str() {
            XSD => Base::Builtin(name),
            _ => match self.find(Kind::Type, &name, node.line)? {
                place if place.node.is(XSD, "simpleType") => Base::Simple(place),
                place => Base::Complex(place),
            },
        };
        let mut object = read(self, base, derivation)?;
        self.attributes(derivation, &mut object, depth)?;
        Ok(object)
    }

    /// The children that a type or derivation declares itself.
    fn content(&mut self, place: Place<'d>, object: &mut Object, depth: usize) -> Result<Group, WsdlError> {
        for node in &place.node.children {
            if ["sequence", "choice", "all", "group"].iter().any(|local| node.is(XSD, local)) {
                object.any_order = node.is(XSD, "all");
                let place = Place { node, ..place };
                return Ok(self.particle(place, object, false, depth)?.unwrap_or_default());
            }
        }
        Ok(Group::default())
    }

    /// Reads one element or group among the children; nothing if it may never stand.
    fn particle(
        &mut self,
        place: Place<'d>,
        object: &mut Object,
        conditional: bool,
        depth: usize,
    ) -> Result<Option<Group>, WsdlError> {
        place.check_depth(depth)?;
        self.step()?;
        let node = place.node;
        let Some((min, max)) = occurs(node)? else { return Ok(None) };
        let group = match node.name.local.as_str() {
            "element" => return self.field(place, object, (min, max), conditional).map(Some),
            "any" => return Err(any(node)),
            "group" => {
                let Some(reference) = node.attribute("ref") else {
                    let element = "group".to_owned();
                    return Err(WsdlError::AttributeMissing { line: node.line, element, attribute: "ref" });
                };
                let declared = self.find(Kind::Group, &resolve(node, reference)?, node.line)?;
                let conditional = conditional || min == 0;
                self.content_of_group(declared, object, conditional, depth + 1)?
            }
            local => {
                let is_conditional = conditional || min == 0 || local == "choice";
                let first_field = object.fields.len();
                let mut groups = Vec::new();
                for child in node.children.iter().filter(|child| child.name.namespace == XSD) {
                    if child.name.local != "annotation" {
                        let child = Place { node: child, ..place };
                        groups.extend(self.particle(child, object, is_conditional, depth + 1)?);
                    }
                }
                if max != Max::Once {
                    return object.repeat_only_field(first_field, (min, max), conditional, node).map(Some);
                }
                if local == "choice" { Group::OneOf(groups) } else { Group::All(groups) }
            }
        };
        if max != Max::Once {
            return Err(repeated_group(node));
        }
        Ok(Some(if min == 0 { Group::OneOf(vec![group, Group::default()]) } else { group }))
    }

    fn content_of_group(
        &mut self,
        declared: Place<'d>,
        object: &mut Object,
        conditional: bool,
        depth: usize,
    ) -> Result<Group, WsdlError> {
        let inner = declared
            .node
            .children
            .iter()
            .find(|child| ["sequence", "choice", "all"].iter().any(|local| child.is(XSD, local)));
        let Some(node) = inner else { return Ok(Group::default()) };
        Ok(self.particle(Place { node, ..declared }, object, conditional, depth)?.unwrap_or_default())
    }

    fn field(
        &mut self,
        place: Place<'d>,
        object: &mut Object,
        (min, max): (u32, Max),
        conditional: bool,
    ) -> Result<Group, WsdlError> {
        let Place { node, schema } = place;
        let (name, declared) = match node.attribute("ref") {
            Some(reference) => {
                let name = resolve(node, reference)?;
                let declared = self.find(Kind::Element, &name, node.line)?;
                if self.substituted.contains(&name) || flag(declared.node, "abstract")? {
                    let remedy = "make it a choice of the elements that are meant";
                    return Err(WsdlError::unsupported(node, "an element that others stand in for", remedy));
                }
                (name, declared)
            }
            None => {
                let form = node.attribute("form").or_else(|| schema.attribute("elementFormDefault"));
                let namespace = if form == Some("qualified") { place.namespace() } else { "" };
                (Name::new(namespace, place.name()?), place)
            }
        };
        for constraint in ["key", "keyref", "unique"] {
            if let Some(found) = declared.node.first(XSD, constraint) {
                return Err(WsdlError::unsupported(found, "a constraint between elements", "leave it out"));
            }
        }
        let mut type_id = self.element_type(declared)?;
        if let Some(fixed) = declared.node.attribute("fixed") {
            type_id = self.fixed(declared, fixed)?;
        }
        let nillable = flag(declared.node, "nillable")?;
        let field = Field { name, type_id, min, max, nillable, conditional, note: note(node) };
        object.add(field, node.line).map(Group::Field)
    }

    /// The type of an element that always has one value.
    fn fixed(&mut self, place: Place<'d>, value: &str) -> Result<TypeId, WsdlError> {
        let simple = self.value_type(place)?.only(value);
        Ok(self.types.add(Type { name: None, note: Note::default(), form: Form::Simple(simple) }))
    }

    fn attributes(&mut self, place: Place<'d>, object: &mut Object, depth: usize) -> Result<(), WsdlError> {
        place.check_depth(depth)?;
        for node in place.node.children.iter().filter(|child| child.name.namespace == XSD) {
            self.step()?;
            let inner = Place { node, ..place };
            match node.name.local.as_str() {
                "attribute" => self.attribute(inner, object)?,
                "attributeGroup" => {
                    let reference = node.attribute("ref").unwrap_or_default();
                    let declared = self.find(Kind::AttributeGroup, &resolve(node, reference)?, node.line)?;
                    self.attributes(declared, object, depth + 1)?;
                }
                "anyAttribute" => return Err(any(node)),
                _ => {}
            }
        }
        Ok(())
    }

    fn attribute(&mut self, place: Place<'d>, object: &mut Object) -> Result<(), WsdlError> {
        let Place { node, schema } = place;
        let (name, declared) = match node.attribute("ref") {
            Some(reference) => {
                let name = resolve(node, reference)?;
                if name.namespace == XML {
                    (name, place)
                } else {
                    let declared = self.find(Kind::Attribute, &name, node.line)?;
                    (name, declared)
                }
            }
            None => {
                let form = node.attribute("form").or_else(|| schema.attribute("attributeFormDefault"));
                let namespace = if form == Some("qualified") { place.namespace() } else { "" };
                (Name::new(namespace, place.name()?), place)
            }
        };
        object.attributes.retain(|inherited| inherited.name != name);
        if node.attribute("use") == Some("prohibited") {
            return Ok(());
        }
        let mut simple = match name.namespace.as_str() {
            XML => Simple::of(Builtin::String),
            _ => self.value_type(declared)?,
        };
        if let Some(fixed) = node.attribute("fixed").or_else(|| declared.node.attribute("fixed")) {
            simple = simple.only(fixed);
        }
        let is_taken = object.fields.iter().any(|field| field.member() == name.local)
            || object.attributes.iter().any(|other| other.member == name.local)
            || (object.text.is_some() && name.local == TEXT_MEMBER);
        let member = if is_taken { format!("@{}", name.local) } else { name.local.clone() };
        if object.attributes.len() >= FIELDS_MAX {
            return Err(WsdlError::TooLarge { what: "attributes of one element", max: FIELDS_MAX });
        }
        if object.attributes.iter().any(|other| other.member == member) {
            return Err(WsdlError::ElementRepeated { line: node.line, name: name.local });
        }
        let required = node.attribute("use") == Some("required");
        object.attributes.push(Attribute { name, member, simple, required, note: note(node) });
        Ok(())
    }

    /// The type of an attribute, or of an element that holds a value only.
    fn value_type(&mut self, place: Place<'d>) -> Result<Simple, WsdlError> {
        let Place { node, schema } = place;
        match (node.attribute("type"), node.first(XSD, "simpleType")) {
            (Some(name), _) => self.simple_named(&resolve(node, name)?, node.line, 0),
            (None, Some(own)) => self.simple(Place { node: own, schema }, 0),
            (None, None) => Ok(Simple::of(Builtin::String)),
        }
    }
}

const SOAP_ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";

/// What a derived type derives from.
enum Base<'d> {
    Builtin(Name),
    Simple(Place<'d>),
    Complex(Place<'d>),
}

impl Place<'_> {
    fn namespace(&self) -> &str {
        self.schema.attribute("targetNamespace").unwrap_or_default()
    }

    fn name(&self) -> Result<&str, WsdlError> {
        let Element { name: Name { local, .. }, line, .. } = self.node;
        let missing =
            || WsdlError::AttributeMissing { line: *line, element: local.clone(), attribute: "name" };
        let name = self.node.attribute("name").ok_or_else(missing)?;
        if is_name(name) {
            return Ok(name);
        }
        Err(WsdlError::NameMalformed {
            line: *line,
            name: json::excerpt(name).into_owned(),
            what: "an element, attribute or type",
            allowed: "a letter or `_`, then letters, digits, `.`, `-`, `_`",
        })
    }

    fn check_depth(&self, depth: usize) -> Result<(), WsdlError> {
        if depth <= DERIVATIONS_MAX {
            return Ok(());
        }
        let name = self.node.attribute("name").unwrap_or(&self.node.name.local);
        Err(WsdlError::Endless { line: self.node.line, name: json::excerpt(name).into_owned() })
    }
}

impl Object {
    /// Adds a child, and says its number.
    fn add(&mut self, field: Field, line: u64) -> Result<usize, WsdlError> {
        if self.fields.len() >= FIELDS_MAX {
            return Err(WsdlError::TooLarge { what: "children of one element", max: FIELDS_MAX });
        }
        if self.fields.iter().any(|other| other.member() == field.member()) {
            return Err(WsdlError::ElementRepeated { line, name: field.name.local });
        }
        self.fields.push(field);
        Ok(self.fields.len() - 1)
    }

    /// Adds the children of a derived type after those of its base.
    fn append(&mut self, own: Group) {
        self.group = match std::mem::take(&mut self.group) {
            Group::All(groups) if groups.is_empty() => own,
            base => Group::All(vec![base, own]),
        };
    }

    /// A repeated group is one with a single child, which then is what repeats.
    fn repeat_only_field(
        &mut self,
        first_field: usize,
        (min, max): (u32, Max),
        conditional: bool,
        node: &Element,
    ) -> Result<Group, WsdlError> {
        match self.fields.get_mut(first_field..) {
            Some([only]) if only.max == Max::Once => {
                // One that may be left out of its group may be left out altogether.
                (only.min, only.max, only.conditional) = (only.min.min(min), max, conditional);
                Ok(Group::Field(first_field))
            }
            _ => Err(repeated_group(node)),
        }
    }
}

impl Simple {
    /// This type with one value.
    fn only(self, value: &str) -> Simple {
        let value = self.builtin.white_space().apply(value);
        Simple { facets: Facets { enumeration: Some(vec![value]), ..self.facets }, ..self }
    }
}

fn repeated_group(node: &Element) -> WsdlError {
    let remedy =
        "JSON cannot keep the order of its elements: give each group an element of its own, and repeat that";
    WsdlError::unsupported(node, "a group of elements that repeats", remedy)
}

fn any(node: &Element) -> WsdlError {
    let remedy = "a contract says what is exchanged: name the elements, or carry a document as text";
    WsdlError::unsupported(node, "content of any kind", remedy)
}

fn builtin(name: &Name, line: u64) -> Result<Builtin, WsdlError> {
    name.local.parse().map_err(|_| match name.local.as_str() {
        "anyType" | "anySimpleType" => WsdlError::Unsupported {
            line,
            construct: format!("content of any kind (`{}`)", name.local),
            remedy: "a contract says what is exchanged: name the type",
        },
        "NMTOKENS" | "IDREFS" | "ENTITIES" | "ENTITY" | "QName" | "NOTATION" => WsdlError::Unsupported {
            line,
            construct: format!("the type `{}`", name.local),
            remedy: "use `xsd:string`, or a repeated element",
        },
        _ => WsdlError::Unresolved {
            line,
            what: "type",
            name: json::excerpt(&name.local).into_owned(),
            namespace: XSD.to_owned(),
            remedy: "XML Schema has no such type: correct the name, or the prefix if the type is yours"
                .to_owned(),
        },
    })
}

/// How often a particle may stand; nothing for never.
fn occurs(node: &Element) -> Result<Option<(u32, Max)>, WsdlError> {
    let invalid = |attribute: &str| WsdlError::ValueInvalid {
        line: node.line,
        place: attribute.to_owned(),
        expected: "a number, and `maxOccurs` one that is not less than `minOccurs`, or `unbounded`",
    };
    let number = |attribute: &str| match node.attribute(attribute) {
        Some(text) => text.trim().parse().map_err(|_| invalid(attribute)),
        None => Ok(1),
    };
    let min: u32 = number("minOccurs")?;
    let max = match node.attribute("maxOccurs").map(str::trim) {
        Some("unbounded") => Max::Unbounded,
        _ => match number("maxOccurs")? {
            max if max < min => return Err(invalid("maxOccurs")),
            0 => return Ok(None),
            1 => Max::Once,
            max => Max::Times(max),
        },
    };
    Ok(Some((min, max)))
}

fn flag(node: &Element, attribute: &str) -> Result<bool, WsdlError> {
    match node.attribute(attribute).map(str::trim) {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(WsdlError::ValueInvalid {
            line: node.line,
            place: attribute.to_owned(),
            expected: "`true` or `false`",
        }),
    }
}

/// The name that a text in a schema or WSDL means.
pub(crate) fn resolve(node: &Element, text: &str) -> Result<Name, WsdlError> {
    let undeclared =
        || WsdlError::PrefixUndeclared { line: node.line, name: json::excerpt(text).into_owned() };
    node.resolve(text).ok_or_else(undeclared)
}

/// Titles and the first documentation of a node, wherever in its notes they stand.
pub(crate) fn note(node: &Element) -> Note {
    let mut note = Note::default();
    for child in &node.children {
        if matches!(child.name.local.as_str(), "annotation" | "documentation" | "appinfo") {
            collect_notes(child, &mut note);
        }
    }
    note
}

fn collect_notes(node: &Element, note: &mut Note) {
    let text = || super::builtin::WhiteSpace::Collapse.apply(&node.text);
    let is_xroad = XROAD.contains(&node.name.namespace.as_str());
    if is_xroad && node.name.local == "title" {
        let language = node.attribute_of(XML, "lang").unwrap_or_default();
        note.titles.entry(language.to_owned()).or_insert_with(text);
    }
    let is_text = node.name.local == "documentation" || (is_xroad && node.name.local == "notes");
    if is_text && note.text.is_none() {
        note.text = Some(text()).filter(|text| !text.is_empty());
    }
    node.children.iter().for_each(|child| collect_notes(child, note));
}
