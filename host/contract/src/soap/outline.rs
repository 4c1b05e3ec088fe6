//! What the messages of an operation hold, element by element, for whoever writes a client of a service that a WSDL
//! describes and does not have its types at hand.

use crate::contract::Contract;
use crate::operation::Operation;
use crate::xml::Name;
use crate::xsd::builtin::JsonKind;
use crate::xsd::{Field, Form, TypeId, Types};

/// How an operation is called in SOAP, and what its messages hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoapOutline {
    /// Where the service listens, if the WSDL says so.
    pub address: Option<String>,
    /// Value of the header `SOAPAction`, without quotes.
    pub action: String,
    /// Local name of the element in the body of a request.
    pub element: String,
    /// Namespace of that element.
    pub namespace: String,
    /// Whether the elements within have the namespace, too.
    pub is_qualified: bool,
    /// The elements within a request.
    pub request: Vec<OutlineElement>,
    /// The elements within a response.
    pub response: Vec<OutlineElement>,
    /// What is not in this outline, with the reason: attributes, what is nested too deep, and elements of a request that
    /// are in another namespace.
    pub left_out: Vec<String>,
}

/// A child element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineElement {
    /// Local name, and the name of its member in JSON.
    pub name: String,
    /// What it holds.
    pub content: OutlineContent,
    /// Whether it may be left out.
    pub is_optional: bool,
    /// Whether it may stand several times, and so is an array in JSON.
    pub is_repeated: bool,
}

/// What an element holds, by the kind of value that it is in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutlineContent {
    /// Text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Elements: an object.
    Elements(Vec<OutlineElement>),
    /// Elements of one name, which stand in JSON as an array in the place of this one (`ArrayOf…`).
    Array(Box<OutlineElement>),
}

impl Contract {
    /// How `operation` is called in SOAP, down to `depth_max` elements within each other; nothing if it has no form in XML.
    pub fn soap_outline(&self, operation: &Operation, depth_max: usize) -> Option<SoapOutline> {
        let soap = self.soap.operation(operation.id())?;
        let name = &soap.request.name;
        let mut outlining = Outlining { types: &self.soap.types, request: None, left_out: Vec::new() };
        let response = outlining.within(soap.response.type_id, "response", depth_max);
        let is_qualified = outlining.is_qualified(soap.request.type_id);
        let namespace = if is_qualified { name.namespace.as_str() } else { "" };
        outlining.request = Some(namespace);
        let request = outlining.within(soap.request.type_id, "request", depth_max);
        Some(SoapOutline {
            address: soap.address.clone(),
            action: soap.action.clone(),
            element: name.local.clone(),
            namespace: name.namespace.clone(),
            is_qualified,
            request,
            response,
            left_out: outlining.left_out,
        })
    }
}

struct Outlining<'t> {
    types: &'t Types,
    /// The namespace that all elements of a request have.
    request: Option<&'t str>,
    left_out: Vec<String>,
}

impl Outlining<'_> {
    /// Whether the elements directly within this type have a namespace.
    fn is_qualified(&self, id: TypeId) -> bool {
        let first = match &self.types.get(id).form {
            Form::Simple(_) => None,
            Form::Array(item) => Some(item),
            Form::Object(object) => object.fields.first(),
        };
        first.is_some_and(|field| !field.name.namespace.is_empty())
    }

    fn within(&mut self, id: TypeId, path: &str, depth: usize) -> Vec<OutlineElement> {
        match self.content(id, path, depth) {
            Some(OutlineContent::Elements(elements)) => elements,
            Some(OutlineContent::Array(element)) => vec![*element],
            _ => Vec::new(),
        }
    }

    fn content(&mut self, id: TypeId, path: &str, depth: usize) -> Option<OutlineContent> {
        let types = self.types;
        let object = match &types.get(id).form {
            Form::Simple(simple) => {
                return Some(match simple.json_kind() {
                    JsonKind::Text => OutlineContent::Text,
                    JsonKind::Boolean => OutlineContent::Boolean,
                    JsonKind::Integer => OutlineContent::Integer,
                    JsonKind::Number => OutlineContent::Number,
                });
            }
            Form::Array(item) => {
                return Some(OutlineContent::Array(Box::new(self.element(item, path, depth)?)));
            }
            Form::Object(object) => object,
        };
        for attribute in &object.attributes {
            self.left_out.push(format!("{path}/@{}: an attribute", attribute.name.local));
        }
        let fields = object.fields.iter().filter_map(|field| self.element(field, path, depth));
        Some(OutlineContent::Elements(fields.collect()))
    }

    fn element(&mut self, field: &Field, path: &str, depth: usize) -> Option<OutlineElement> {
        let Name { namespace, local } = &field.name;
        let path = format!("{path}/{local}");
        let Some(depth) = depth.checked_sub(1) else {
            self.left_out.push(format!("{path}: nested too deep"));
            return None;
        };
        if self.request.is_some_and(|expected| expected != namespace) {
            self.left_out.push(format!("{path}: in another namespace"));
            return None;
        }
        Some(OutlineElement {
            name: local.clone(),
            content: self.content(field.type_id, &path, depth)?,
            is_optional: field.min == 0 || field.conditional,
            is_repeated: field.is_repeated(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outline of an operation whose request holds these elements.
    fn outline(elements: &str, depth_max: usize) -> SoapOutline {
        let wsdl = format!(
            r#"<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
                xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
            <types><xs:schema targetNamespace="urn:t" elementFormDefault="qualified">
             <xs:element name="ask"><xs:complexType><xs:sequence>{elements}</xs:sequence></xs:complexType></xs:element>
             <xs:element name="say"><xs:complexType><xs:sequence/></xs:complexType></xs:element>
             <xs:complexType name="Node"><xs:sequence><xs:element name="node" type="t:Node" minOccurs="0"/></xs:sequence>
             </xs:complexType></xs:schema></types>
            <message name="in"><part name="body" element="t:ask"/></message>
            <message name="out"><part name="body" element="t:say"/></message>
            <portType name="p"><operation name="ask"><input message="t:in"/><output message="t:out"/></operation></portType>
            <binding name="b" type="t:p"><s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
             <operation name="ask"><s:operation soapAction="urn:ask"/><input><s:body use="literal"/></input>
             <output><s:body use="literal"/></output></operation></binding>
            <service name="s"><port name="p" binding="t:b"><s:address location="http://a/b"/></port></service>
            </definitions>"#
        );
        let contract = Contract::from_wsdl(wsdl.as_bytes()).unwrap();
        contract.soap_outline(contract.operation("ask").unwrap(), depth_max).unwrap()
    }

    #[test]
    fn says_where_and_how_an_operation_is_called() {
        let outline = outline(r#"<xs:element name="day" type="xs:date" minOccurs="0"/>"#, 1);
        let called = (outline.address.as_deref(), &*outline.action, &*outline.element, &*outline.namespace);
        assert_eq!(called, (Some("http://a/b"), "urn:ask", "ask", "urn:t"));
        let day = OutlineElement {
            name: "day".to_owned(),
            content: OutlineContent::Text,
            is_optional: true,
            is_repeated: false,
        };
        assert_eq!((outline.is_qualified, outline.request, outline.left_out), (true, vec![day], vec![]));
    }

    #[test]
    fn leaves_out_what_is_nested_too_deep() {
        let outline = outline(r#"<xs:element name="node" type="t:Node"/>"#, 2);
        assert_eq!(outline.left_out, ["request/node/node/node: nested too deep"]);
    }

    #[test]
    fn leaves_out_elements_of_a_request_that_are_in_another_namespace() {
        let elements =
            r#"<xs:element name="a" type="xs:int"/><xs:element name="b" type="xs:int" form="unqualified"/>"#;
        assert_eq!(outline(elements, 2).left_out, ["request/b: in another namespace"]);
    }
}
