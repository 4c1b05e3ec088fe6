//! [`Types`] that were made from JSON Schema as XML Schema. Choices, attributes and the like do not come from there.

use std::collections::BTreeSet;

use super::facets::Facets;
use super::{Field, Form, Max, Note, Object, Root, Simple, Type, TypeId, Types};
use crate::xml::escaped;

/// The declarations of `roots` and of all types that they lead to. The prefixes `xsd`, `xrd` and `tns` are the caller's.
pub(crate) fn write<'t>(types: &'t Types, roots: impl Iterator<Item = &'t Root>) -> String {
    let mut writer = Writer { types, xml: String::new(), named: BTreeSet::new(), waiting: Vec::new() };
    for root in roots {
        writer.xml += &format!("<xsd:element name=\"{}\"", root.name.local);
        writer.type_of(root.type_id, &Note::default());
    }
    while let Some(id) = writer.waiting.pop() {
        writer.declare(id);
    }
    writer.xml
}

struct Writer<'t> {
    types: &'t Types,
    xml: String,
    /// Named types that are declared, or wait for it.
    named: BTreeSet<TypeId>,
    waiting: Vec<TypeId>,
}

impl<'t> Writer<'t> {
    fn declare(&mut self, id: TypeId) {
        let Type { name, note, form } = self.types.get(id);
        let Some(name) = name else { return };
        let tag = tag(form);
        self.xml += &format!("<xsd:{tag} name=\"{}\">", name.local);
        self.note(note);
        self.form(form);
        self.xml += &format!("</xsd:{tag}>\n");
    }

    /// Ends an element's start tag with its type, and closes it.
    fn type_of(&mut self, id: TypeId, note: &Note) {
        let Type { name, form, .. } = self.types.get(id);
        if let Some(name) = name {
            if self.named.insert(id) {
                self.waiting.push(id);
            }
            self.xml += &format!(" type=\"tns:{}\">", name.local);
            self.note(note);
        } else {
            self.xml.push('>');
            self.note(note);
            let tag = tag(form);
            self.xml += &format!("<xsd:{tag}>");
            self.form(form);
            self.xml += &format!("</xsd:{tag}>");
        }
        self.xml += "</xsd:element>\n";
    }

    fn form(&mut self, form: &'t Form) {
        match form {
            Form::Simple(Simple { builtin, facets }) => {
                self.xml += &format!("<xsd:restriction base=\"xsd:{}\">", builtin.name());
                self.facets(facets);
                self.xml += "</xsd:restriction>";
            }
            Form::Array(item) => self.sequence(std::slice::from_ref(item)),
            Form::Object(Object { fields, .. }) => self.sequence(fields),
        }
    }

    fn sequence(&mut self, fields: &'t [Field]) {
        self.xml += "<xsd:sequence>\n";
        for field in fields {
            self.xml += &format!("<xsd:element name=\"{}\" minOccurs=\"{}\"", field.name.local, field.min);
            match field.max {
                Max::Once => {}
                Max::Times(max) => self.xml += &format!(" maxOccurs=\"{max}\""),
                Max::Unbounded => self.xml += " maxOccurs=\"unbounded\"",
            }
            if field.nillable {
                self.xml += " nillable=\"true\"";
            }
            self.type_of(field.type_id, &field.note);
        }
        self.xml += "</xsd:sequence>";
    }

    fn facets(&mut self, facets: &Facets) {
        let bound = |kind: &str, bound: &Option<super::facets::Bound>| {
            let bound = bound.as_ref()?;
            Some((
                format!("{kind}{}", if bound.exclusive { "Exclusive" } else { "Inclusive" }),
                bound.value.clone(),
            ))
        };
        let length = |kind: &str, length: Option<u64>| Some((kind.to_owned(), length?.to_string()));
        let single = [
            bound("min", &facets.lower),
            bound("max", &facets.upper),
            length("minLength", facets.length_min),
            length("maxLength", facets.length_max),
        ];
        let values =
            facets.enumeration.iter().flatten().map(|value| ("enumeration".to_owned(), value.clone()));
        // Patterns of one restriction are alternatives, and these must all match: only the first is told.
        let pattern = facets.patterns.first().map(|pattern| ("pattern".to_owned(), pattern.xsd.clone()));
        for (name, value) in single.into_iter().flatten().chain(values).chain(pattern) {
            self.xml += &format!("<xsd:{name} value=\"{}\"/>", escaped(&value));
        }
    }

    fn note(&mut self, note: &Note) {
        self.xml += &annotation(note);
    }
}

fn tag(form: &Form) -> &'static str {
    if matches!(form, Form::Simple(_)) { "simpleType" } else { "complexType" }
}

/// X-Road's titles, one for each language.
pub(crate) fn titles(note: &Note) -> String {
    let title = |(language, title): (&String, &String)| {
        let language =
            if language.is_empty() { String::new() } else { format!(" xml:lang=\"{}\"", escaped(language)) };
        format!("<xrd:title{language}>{}</xrd:title>", escaped(title))
    };
    note.titles.iter().map(title).collect()
}

fn annotation(note: &Note) -> String {
    let titles = titles(note);
    let titles = if titles.is_empty() { titles } else { format!("<xsd:appinfo>{titles}</xsd:appinfo>") };
    let text =
        note.text.as_ref().map(|text| format!("<xsd:documentation>{}</xsd:documentation>", escaped(text)));
    match titles + &text.unwrap_or_default() {
        empty if empty.is_empty() => empty,
        notes => format!("<xsd:annotation>{notes}</xsd:annotation>"),
    }
}
