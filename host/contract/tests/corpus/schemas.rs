//! Schemas by chance, and the WSDL around a schema.

use std::fmt::Write;

/// The WSDL of a schema of the namespace `urn:shape`: an operation for each element that has a namesake with `Response`.
pub(crate) fn wsdl(schema: &str) -> String {
    let schema = schema.split_once("-->").map_or(schema, |(_, schema)| schema);
    let names: Vec<&str> = schema
        .lines()
        .filter(|line| line.starts_with("  <") || line.starts_with('<'))
        .filter_map(|line| line.split_once("element name=\"")?.1.split_once('"'))
        .map(|(name, _)| name)
        .collect();
    let (mut messages, mut port, mut binding) = (String::new(), String::new(), String::new());
    for name in names.iter().filter(|name| names.contains(&format!("{name}Response").as_str())) {
        for element in [(*name).to_owned(), format!("{name}Response")] {
            write!(messages, "<wsdl:message name='{element}'><wsdl:part name='body' element='tns:{element}'/></wsdl:message>").unwrap();
        }
        write!(port, "<wsdl:operation name='{name}'><wsdl:input message='tns:{name}'/><wsdl:output message='tns:{name}Response'/></wsdl:operation>").unwrap();
        write!(binding, "<wsdl:operation name='{name}'><soap:operation soapAction=''/><wsdl:input><soap:body use='literal'/></wsdl:input><wsdl:output><soap:body use='literal'/></wsdl:output></wsdl:operation>").unwrap();
    }
    format!(
        "<wsdl:definitions xmlns:wsdl='http://schemas.xmlsoap.org/wsdl/' xmlns:soap='http://schemas.xmlsoap.org/wsdl/soap/' \
         xmlns:tns='urn:shape' targetNamespace='urn:shape'><wsdl:types>{schema}</wsdl:types>{messages}\
         <wsdl:portType name='port'>{port}</wsdl:portType><wsdl:binding name='binding' type='tns:port'>\
         <soap:binding style='document' transport='http://schemas.xmlsoap.org/soap/http'/>{binding}</wsdl:binding></wsdl:definitions>"
    )
}

/// The last schema in a WSDL as a document of its own: with the prefixes of the WSDL, and without imports.
pub(crate) fn last_schema(wsdl: &str) -> String {
    let end = wsdl.rfind("schema>").unwrap() + "schema>".len();
    let start =
        ["<xsd:schema ", "<xs:schema "].iter().filter_map(|tag| wsdl[..end].rfind(tag)).max().unwrap();
    let mut schema = wsdl[start..end].to_owned();
    while let Some(import) = schema.find(":import ") {
        let start = schema[..import].rfind('<').unwrap();
        let end = import + schema[import..].find('>').unwrap() + 1;
        schema.replace_range(start..end, "");
    }
    let head = &wsdl[wsdl.find("definitions").unwrap()..];
    let head = &head[..head.find('>').unwrap()];
    for declaration in head.split_ascii_whitespace().filter(|word| word.starts_with("xmlns:")) {
        let own = &schema[..schema.find('>').unwrap()];
        if !own.contains(declaration.split('=').next().unwrap()) {
            schema.insert_str(schema.find(' ').unwrap(), &format!(" {declaration}"));
        }
    }
    schema
}

/// A schema with two elements, `call` and `callResponse`.
pub(crate) fn generate(seed: u64) -> String {
    let mut generator =
        Generator { random: fastrand::Rng::with_seed(seed), named: String::new(), types: 0, fields: 0 };
    let form = generator.pick(&["qualified", "unqualified"]);
    let (request, response) = (generator.complex(0), generator.complex(0));
    let named = generator.named;
    format!(
        "<xsd:schema xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:tns=\"urn:shape\" targetNamespace=\"urn:shape\" elementFormDefault=\"{form}\">\n\
         <xsd:element name=\"call\">{request}</xsd:element>\n<xsd:element name=\"callResponse\">{response}</xsd:element>\n{named}</xsd:schema>\n"
    )
}

struct Generator {
    random: fastrand::Rng,
    named: String,
    types: usize,
    fields: usize,
}

impl Generator {
    fn pick(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.random.usize(..choices.len())]
    }

    fn complex(&mut self, depth: usize) -> String {
        let content = match self.random.u8(..10) {
            0 if depth > 0 => {
                let base = self.builtin();
                let attributes = self.attributes();
                return format!(
                    "<xsd:complexType><xsd:simpleContent><xsd:extension base=\"xsd:{base}\">{attributes}</xsd:extension></xsd:simpleContent></xsd:complexType>"
                );
            }
            1 => {
                let fields: String = (0..self.random.usize(1..4)).map(|_| self.field(depth, false)).collect();
                format!("<xsd:all>{fields}</xsd:all>")
            }
            2 => {
                let base = self.name_type(depth);
                let (own, attributes) = (self.sequence(depth, false), self.attributes());
                return format!(
                    "<xsd:complexType><xsd:complexContent><xsd:extension base=\"tns:{base}\">{own}{attributes}</xsd:extension></xsd:complexContent></xsd:complexType>"
                );
            }
            _ => self.sequence(depth, false),
        };
        let attributes = self.attributes();
        format!("<xsd:complexType>{content}{attributes}</xsd:complexType>")
    }

    /// Declares a type that others may extend.
    fn name_type(&mut self, depth: usize) -> String {
        self.types += 1;
        let name = format!("Type{}", self.types);
        let content = self.sequence(depth + 1, false);
        self.named += &format!("<xsd:complexType name=\"{name}\">{content}</xsd:complexType>\n");
        name
    }

    fn sequence(&mut self, depth: usize, in_choice: bool) -> String {
        let mut content = String::new();
        for _ in 0..self.random.usize(1..5) {
            content += &match self.random.u8(..8) {
                0 if depth < 3 => self.choice(depth + 1),
                1 if depth < 3 && !in_choice => {
                    format!("<xsd:sequence minOccurs=\"0\">{}</xsd:sequence>", self.field(depth, true))
                }
                2 => {
                    self.fields += 1;
                    format!(
                        "<xsd:sequence maxOccurs=\"unbounded\"><xsd:element name=\"f{}\" type=\"xsd:short\"/></xsd:sequence>",
                        self.fields
                    )
                }
                _ => self.field(depth, true),
            };
        }
        format!("<xsd:sequence>{content}</xsd:sequence>")
    }

    fn choice(&mut self, depth: usize) -> String {
        let occurs = self.pick(&["", " minOccurs=\"0\""]);
        let mut branches = String::new();
        for _ in 0..self.random.usize(2..4) {
            // A branch begins with an element that must stand, or a reader could not tell it from the next.
            self.fields += 1;
            let first = format!("<xsd:element name=\"f{}\" type=\"xsd:int\"/>", self.fields);
            branches += &match self.random.bool() {
                true => first,
                false => format!("<xsd:sequence>{first}{}</xsd:sequence>", self.sequence(depth + 1, true)),
            };
        }
        format!("<xsd:choice{occurs}>{branches}</xsd:choice>")
    }

    fn field(&mut self, depth: usize, may_repeat: bool) -> String {
        self.fields += 1;
        let mut attributes = format!("name=\"f{}\"", self.fields);
        attributes += self.pick(&["", "", " minOccurs=\"0\""]);
        if may_repeat {
            attributes += self.pick(&["", "", "", " maxOccurs=\"unbounded\"", " maxOccurs=\"3\""]);
        }
        attributes +=
            self.pick(&["", "", " nillable=\"true\"", " form=\"qualified\"", " form=\"unqualified\""]);
        match self.random.u8(..8) {
            0 if depth < 3 => format!("<xsd:element {attributes}>{}</xsd:element>", self.complex(depth + 1)),
            1 if depth < 3 => {
                let name = self.name_type(depth + 1);
                format!("<xsd:element {attributes} type=\"tns:{name}\"/>")
            }
            2 => {
                self.types += 1;
                let (name, item) = (format!("ArrayOf{}", self.types), self.builtin());
                self.named += &format!(
                    "<xsd:complexType name=\"{name}\"><xsd:sequence><xsd:element name=\"item\" type=\"xsd:{item}\" minOccurs=\"0\" maxOccurs=\"unbounded\" nillable=\"true\"/></xsd:sequence></xsd:complexType>\n"
                );
                format!("<xsd:element {attributes} type=\"tns:{name}\"/>")
            }
            3 | 4 => format!("<xsd:element {attributes}>{}</xsd:element>", self.restricted()),
            _ => format!("<xsd:element {attributes} type=\"xsd:{}\"/>", self.builtin()),
        }
    }

    fn builtin(&mut self) -> &'static str {
        self.pick(&[
            "string",
            "normalizedString",
            "token",
            "language",
            "NCName",
            "NMTOKEN",
            "anyURI",
            "boolean",
            "decimal",
            "integer",
            "long",
            "int",
            "short",
            "byte",
            "nonNegativeInteger",
            "unsignedInt",
            "unsignedShort",
            "unsignedByte",
            "float",
            "double",
            "duration",
            "dateTime",
            "time",
            "date",
            "gYearMonth",
            "gYear",
            "gMonthDay",
            "hexBinary",
            "base64Binary",
        ])
    }

    fn restricted(&mut self) -> String {
        let restriction = self.pick(&[
            "<xsd:restriction base=\"xsd:string\"><xsd:enumeration value=\"a\"/><xsd:enumeration value=\"б &amp; в\"/></xsd:restriction>",
            "<xsd:restriction base=\"xsd:string\"><xsd:pattern value=\"[A-Z]{2}\"/><xsd:pattern value=\"[0-9]{10}\"/></xsd:restriction>",
            "<xsd:restriction base=\"xsd:string\"><xsd:pattern value=\"\\i\\c*\"/><xsd:maxLength value=\"3\"/></xsd:restriction>",
            "<xsd:restriction base=\"xsd:string\"><xsd:minLength value=\"1\"/><xsd:maxLength value=\"9\"/></xsd:restriction>",
            "<xsd:restriction base=\"xsd:int\"><xsd:minInclusive value=\"-5\"/><xsd:maxExclusive value=\"5\"/></xsd:restriction>",
            "<xsd:restriction base=\"xsd:int\"><xsd:pattern value=\"0\\d{3}\"/></xsd:restriction>",
            "<xsd:restriction base=\"xsd:integer\"><xsd:totalDigits value=\"4\"/></xsd:restriction>",
            "<xsd:restriction base=\"xsd:short\"><xsd:enumeration value=\"1\"/><xsd:enumeration value=\"-1\"/></xsd:restriction>",
            "<xsd:restriction base=\"xsd:double\"><xsd:minInclusive value=\"0\"/><xsd:maxInclusive value=\"1\"/></xsd:restriction>",
            "<xsd:restriction><xsd:simpleType><xsd:restriction base=\"xsd:string\"><xsd:minLength value=\"2\"/></xsd:restriction></xsd:simpleType><xsd:maxLength value=\"3\"/></xsd:restriction>",
        ]);
        format!("<xsd:simpleType>{restriction}</xsd:simpleType>")
    }

    fn attributes(&mut self) -> String {
        (0..self.random.usize(..3))
            .map(|_| {
                self.fields += 1;
                let (simple, usage) =
                    (self.builtin(), self.pick(&["", " use=\"required\"", " form=\"qualified\""]));
                format!("<xsd:attribute name=\"f{}\" type=\"xsd:{simple}\"{usage}/>", self.fields)
            })
            .collect()
    }
}
