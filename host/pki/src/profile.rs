//! Certificate profiles: which member a signing certificate names, and what a certificate request says.
//!
//! A profile is data, not code: X-Road's own are in `profile/profiles.toml`, which also explains the form, and a country
//! adds its own in the same form to its configuration.

mod request;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::LazyLock;

use der::Tagged;
use der::asn1::{
    BmpString, Ia5StringRef, ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef,
};
use der::{Any, Tag};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use uuk_identifiers::{MemberId, ServerId};
use x509_cert::name::Name;

use crate::certificate::Certificate;

pub use self::request::RequestError;

/// Expressions that compile to more are refused: every signing certificate is held against them.
const EXPRESSION_BYTES_MAX: usize = 64 * 1024;

const PIECES: [&str; 3] = ["instance", "class", "code"];
const SUBJECT_ALT_NAME: &str = "subjectAltName";

const ATTRIBUTE_TYPES: [(&str, &str); 11] = [
    ("CN", "2.5.4.3"),
    ("serialNumber", "2.5.4.5"),
    ("C", "2.5.4.6"),
    ("L", "2.5.4.7"),
    ("ST", "2.5.4.8"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("businessCategory", "2.5.4.15"),
    ("organizationIdentifier", "2.5.4.97"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("emailAddress", "1.2.840.113549.1.9.1"),
];

/// The profiles that a global configuration may name.
#[derive(Debug, Clone)]
pub struct CertificateProfiles(Vec<CertificateProfile>);

/// Which attributes of a subject name a member, and what certificate requests say, as data.
#[derive(Debug, Clone)]
pub struct CertificateProfile {
    name: String,
    forms: Vec<Form>,
    authentication: Vec<SubjectField>,
    signing: Vec<SubjectField>,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum CertificateUse {
    /// Identifies a security server in TLS.
    Authentication,
    /// Signs a member's messages.
    Signing,
}

/// Whom a certificate request is for.
#[derive(Debug, Clone)]
pub struct Applicant<'a> {
    /// The member that signs, or the server's owner for authentication.
    pub member: &'a MemberId,
    /// The member's name in words.
    pub member_name: &'a str,
    /// The security server.
    pub server: &'a ServerId,
    /// What the operator filled in, by the names that [`CertificateProfile::fields`] gives.
    pub fields: BTreeMap<String, String>,
}

/// What a certificate request should say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedSubject {
    /// Attribute types and values of the subject, in the order of the request's DER.
    attributes: Vec<(ObjectIdentifier, String)>,
    /// The `dNSName` for the extension of alternative names.
    alternative_name: Option<String>,
}

/// Why profiles could not be read, found or applied.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "certificate_profile.")]
#[non_exhaustive]
pub enum ProfileError {
    /// Not the expected TOML.
    #[error("the certificate profiles cannot be read")]
    Malformed(#[source] toml::de::Error),
    /// A name that stands twice.
    #[error("certificate profile `{name}` is defined twice")]
    Duplicate {
        /// The profile.
        name: String,
    },
    /// A definition that cannot work.
    #[error("certificate profile `{name}`: {problem}")]
    Definition {
        /// The profile.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No profile of this name.
    #[error("there is no certificate profile `{name}`")]
    Unknown {
        /// What was looked for.
        name: String,
    },
    /// The subject fits no form of the profile.
    #[error("the subject `{subject}` names no member by certificate profile `{name}`")]
    NoMember {
        /// The certificate's subject.
        subject: String,
        /// The profile.
        name: String,
    },
    /// The operator has not filled in a field.
    #[error("the certificate request lacks `{field}`")]
    FieldMissing {
        /// Its name.
        field: String,
    },
}

impl ProfileError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// X-Road's code where it has one.
    pub fn xroad_code(&self) -> Option<&'static str> {
        match self {
            Self::NoMember { .. } => Some("incorrect_certificate"),
            Self::FieldMissing { .. } => Some("cert_validation"),
            _ => None,
        }
    }
}

impl Default for CertificateProfiles {
    /// X-Road's own profiles.
    fn default() -> Self {
        static BUILT_IN: LazyLock<CertificateProfiles> = LazyLock::new(|| {
            #[expect(
                clippy::expect_used,
                reason = "the text is part of the program, and every test reads it"
            )]
            CertificateProfiles(Vec::new()).with(include_str!("profile/profiles.toml")).expect("profiles")
        });
        BUILT_IN.clone()
    }
}

impl CertificateProfiles {
    /// These and those that `toml` defines.
    ///
    /// # Errors
    /// [`ProfileError::Malformed`], [`ProfileError::Duplicate`] or [`ProfileError::Definition`].
    pub fn with(mut self, toml: &str) -> Result<Self, ProfileError> {
        let file: ProfileFile = toml::from_str(toml).map_err(ProfileError::Malformed)?;
        for text in file.profile {
            let name = text.name.clone();
            if self.find(&name).is_ok() {
                return Err(ProfileError::Duplicate { name });
            }
            self.0.push(text.compile().map_err(|problem| ProfileError::Definition { name, problem })?);
        }
        Ok(self)
    }

    /// The profile of exactly this name, which for X-Road's own is a Java class.
    ///
    /// # Errors
    /// [`ProfileError::Unknown`].
    pub fn find(&self, name: &str) -> Result<&CertificateProfile, ProfileError> {
        let found = self.0.iter().find(|profile| profile.name == name);
        found.ok_or_else(|| ProfileError::Unknown { name: name.to_owned() })
    }
}

impl CertificateProfile {
    /// The name that `certificateProfileInfo` gives it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The member that a signing certificate names. Where the profile takes no instance from the certificate, it is
    /// `signer_instance`, that of the member that claims to have signed.
    ///
    /// Of several attributes of a type the last in DER counts, the first of X-Road's RFC 2253 string. Stricter than
    /// X-Road, which takes the first attribute of a multi-valued RDN for whichever is asked: such subjects are refused,
    /// and so are empty pieces of an identifier.
    ///
    /// # Errors
    /// [`ProfileError::NoMember`].
    pub fn member(&self, certificate: &Certificate, signer_instance: &str) -> Result<MemberId, ProfileError> {
        self.member_of(certificate.subject_name(), signer_instance).ok_or_else(|| ProfileError::NoMember {
            subject: certificate.subject().to_owned(),
            name: self.name.clone(),
        })
    }

    fn member_of(&self, subject: &Name, signer_instance: &str) -> Option<MemberId> {
        let attributes = attributes(subject)?;
        let [instance, class, code] = self.forms.iter().find_map(|form| form.pieces(&attributes))?;
        let instance = instance.unwrap_or_else(|| signer_instance.to_owned());
        let member = MemberId { instance, class: class?, code: code? };
        (!member.class.is_empty() && !member.code.is_empty()).then_some(member)
    }

    /// The fields of a request for `usage` that an operator has to fill in.
    pub fn fields(&self, usage: CertificateUse) -> Vec<&str> {
        let texts = self.request(usage).iter().flat_map(|field| &field.value);
        let fields = texts.filter_map(|text| match text {
            Text::Field(name) => Some(name.as_str()),
            _ => None,
        });
        BTreeSet::from_iter(fields).into_iter().collect()
    }

    /// What a request for `usage` by `applicant` says.
    ///
    /// # Errors
    /// [`ProfileError::FieldMissing`].
    pub fn requested_subject(
        &self,
        usage: CertificateUse,
        applicant: &Applicant<'_>,
    ) -> Result<RequestedSubject, ProfileError> {
        let mut subject = RequestedSubject { attributes: Vec::new(), alternative_name: None };
        for field in self.request(usage) {
            let value =
                field.value.iter().map(|text| text.write(applicant)).collect::<Result<String, _>>()?;
            match field.attribute {
                Some(attribute) => subject.attributes.push((attribute, value)),
                None => subject.alternative_name = Some(value),
            }
        }
        Ok(subject)
    }

    fn request(&self, usage: CertificateUse) -> &[SubjectField] {
        match usage {
            CertificateUse::Authentication => &self.authentication,
            CertificateUse::Signing => &self.signing,
        }
    }
}

/// A form that a subject may have.
#[derive(Debug, Clone)]
struct Form {
    without: Vec<ObjectIdentifier>,
    subject: Vec<(ObjectIdentifier, Regex)>,
    class: Option<String>,
}

impl Form {
    /// The pieces of the identifier in the order of [`PIECES`], `None` if the subject does not have this form.
    fn pieces(&self, attributes: &Attributes) -> Option<[Option<String>; 3]> {
        if self.without.iter().any(|absent| attributes.contains_key(absent)) {
            return None;
        }
        let mut found = [None, self.class.clone(), None];
        for (attribute, expression) in &self.subject {
            let captures = expression.captures(attributes.get(attribute)?)?;
            for (piece, name) in found.iter_mut().zip(PIECES) {
                if let Some(text) = captures.name(name) {
                    *piece = Some(text.as_str().to_owned());
                }
            }
        }
        Some(found)
    }
}

type Attributes = BTreeMap<ObjectIdentifier, String>;

/// The attributes of the subject; `None` if it has a multi-valued RDN or a value that is no text.
fn attributes(subject: &Name) -> Option<Attributes> {
    let mut attributes = Attributes::new();
    for name in subject.iter_rdn() {
        let mut values = name.iter();
        let (Some(attribute), None) = (values.next(), values.next()) else { return None };
        attributes.insert(attribute.oid, text(&attribute.value)?);
    }
    Some(attributes)
}

fn text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => Utf8StringRef::try_from(value).ok().map(|text| text.as_str().to_owned()),
        Tag::PrintableString => PrintableStringRef::try_from(value).ok().map(|text| text.as_str().to_owned()),
        Tag::Ia5String => Ia5StringRef::try_from(value).ok().map(|text| text.as_str().to_owned()),
        Tag::TeletexString => TeletexStringRef::try_from(value).ok().map(|text| text.as_str().to_owned()),
        Tag::BmpString => BmpString::from_ucs2(value.value()).ok().map(|text| text.to_string()),
        _ => None,
    }
}

/// One attribute of a request's subject; without a type it is the alternative name.
#[derive(Debug, Clone)]
struct SubjectField {
    attribute: Option<ObjectIdentifier>,
    value: Vec<Text>,
}

#[derive(Debug, Clone)]
enum Text {
    Literal(String),
    Known(Known),
    Field(String),
}

/// What is known of an applicant without asking.
#[derive(Debug, Clone, Copy, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
enum Known {
    MemberInstance,
    MemberClass,
    MemberCode,
    MemberName,
    Server,
    ServerCode,
}

impl Text {
    fn write(&self, applicant: &Applicant<'_>) -> Result<String, ProfileError> {
        let Applicant { member, member_name, server, fields } = applicant;
        Ok(match self {
            Self::Literal(text) => text.clone(),
            Self::Known(Known::MemberInstance) => member.instance.clone(),
            Self::Known(Known::MemberClass) => member.class.clone(),
            Self::Known(Known::MemberCode) => member.code.clone(),
            Self::Known(Known::MemberName) => (*member_name).to_owned(),
            Self::Known(Known::Server) => {
                let owner = &server.owner;
                format!("{}/{}/{}/{}", owner.instance, owner.class, owner.code, server.code)
            }
            Self::Known(Known::ServerCode) => server.code.clone(),
            Self::Field(field) => {
                let value = fields.get(field).filter(|value| !value.trim().is_empty());
                value.ok_or_else(|| ProfileError::FieldMissing { field: field.clone() })?.clone()
            }
        })
    }
}

/// Profiles as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileFile {
    profile: Vec<ProfileText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileText {
    name: String,
    member: Vec<FormText>,
    #[serde(default)]
    authentication: Vec<String>,
    #[serde(default)]
    signing: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormText {
    #[serde(default)]
    without: Vec<String>,
    subject: BTreeMap<String, String>,
    class: Option<String>,
}

impl ProfileText {
    fn compile(self) -> Result<CertificateProfile, String> {
        let fields =
            |texts: Vec<String>| texts.iter().map(|text| subject_field(text)).collect::<Result<_, _>>();
        Ok(CertificateProfile {
            forms: self.member.into_iter().map(FormText::compile).collect::<Result<_, _>>()?,
            authentication: fields(self.authentication)?,
            signing: fields(self.signing)?,
            name: self.name,
        })
    }
}

impl FormText {
    fn compile(self) -> Result<Form, String> {
        let mut subject = Vec::new();
        let mut taken: Vec<String> = self.class.iter().map(|_| "class".to_owned()).collect();
        for (attribute, expression) in &self.subject {
            let compiled = RegexBuilder::new(&format!("^(?:{expression})$"))
                .size_limit(EXPRESSION_BYTES_MAX)
                .build()
                .map_err(|_| format!("`{expression}` is no regular expression, or too large a one"))?;
            taken.extend(compiled.capture_names().flatten().map(str::to_owned));
            subject.push((attribute_type(attribute)?, compiled));
        }
        taken.sort_unstable();
        match taken.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["class", "code"] | ["class", "code", "instance"] => {}
            other => {
                return Err(format!("a form takes {other:?} instead of class, code and perhaps instance"));
            }
        }
        let without = self.without.iter().map(|name| attribute_type(name)).collect::<Result<_, _>>()?;
        Ok(Form { without, subject, class: self.class })
    }
}

/// Reads `CN={member_name}`.
fn subject_field(text: &str) -> Result<SubjectField, String> {
    let (attribute, mut rest) = text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`"))?;
    let attribute = (attribute != SUBJECT_ALT_NAME).then(|| attribute_type(attribute)).transpose()?;
    let mut value = Vec::new();
    while let Some((literal, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| format!("`{text}` lacks a closing brace"))?;
        value.push(Text::Literal(literal.to_owned()));
        value.push(placeholder(name)?);
        rest = after;
    }
    value.push(Text::Literal(rest.to_owned()));
    Ok(SubjectField { attribute, value })
}

fn placeholder(name: &str) -> Result<Text, String> {
    match Known::from_str(name) {
        Ok(known) => Ok(Text::Known(known)),
        Err(_) if name.starts_with("member") || name.starts_with("server") => {
            Err(format!("there is no `{{{name}}}`"))
        }
        Err(_) => Ok(Text::Field(name.to_owned())),
    }
}

/// An attribute type by its name or as a dotted number.
fn attribute_type(name: &str) -> Result<ObjectIdentifier, String> {
    let dotted = ATTRIBUTE_TYPES.iter().find(|(known, _)| *known == name).map_or(name, |(_, dotted)| dotted);
    ObjectIdentifier::new(dotted).map_err(|_| format!("there is no attribute type `{name}`"))
}

#[cfg(test)]
mod tests;
