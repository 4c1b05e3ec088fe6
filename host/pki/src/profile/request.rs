use der::asn1::{BitString, Ia5String, ObjectIdentifier, OctetString, PrintableString, SetOfVec};
use der::oid::AssociatedOid;
use der::{Any, Decode, Encode, Tag};
use x509_cert::attr::{Attribute, AttributeTypeAndValue};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq, Version};

use super::{CertificateUse, RequestedSubject};
use crate::digest::DigestAlgorithm;
use crate::public_key::PublicKey;
use crate::signature::sign;
use crate::signing_key::{KeyError, SigningKey};

const DOMAIN_COMPONENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25");
const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");

/// Why a certificate request could not be made.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "certificate_request.")]
#[non_exhaustive]
pub enum RequestError {
    /// A value does not fit its attribute, such as a name of an impossible host.
    #[error("the subject of the certificate request cannot be written")]
    Subject(#[source] der::Error),
    /// The key did not sign.
    #[error("the certificate request cannot be signed")]
    Key(#[source] KeyError),
}

impl RequestError {
    /// The stable code of the reason: the key's, if that is it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Key(error) => error.code(),
            other => other.into(),
        }
    }
}

impl RequestedSubject {
    /// The PKCS#10 request in DER for a certificate about `public_key`, signed with its private `key`.
    ///
    /// Key usage is asked for as X-Road does: a signing certificate with `keyCertSign` too, which authorities that know
    /// X-Road leave out.
    ///
    /// # Errors
    /// [`RequestError`].
    ///
    /// # Source
    /// RFC 2986 §4.
    pub fn request(
        &self,
        usage: CertificateUse,
        public_key: &PublicKey,
        key: &dyn SigningKey,
    ) -> Result<Vec<u8>, RequestError> {
        let info = self.info(usage, public_key).map_err(RequestError::Subject)?;
        let signed = info.to_der().map_err(RequestError::Subject)?;
        let (algorithm, signature) =
            sign(key, DigestAlgorithm::Sha256, &signed).map_err(RequestError::Key)?;
        let signature = BitString::from_bytes(&signature).map_err(RequestError::Subject)?;
        CertReq { info, algorithm, signature }.to_der().map_err(RequestError::Subject)
    }

    fn info(&self, usage: CertificateUse, public_key: &PublicKey) -> Result<CertReqInfo, der::Error> {
        let mut names = RdnSequence::default();
        for (oid, value) in &self.attributes {
            let attribute = AttributeTypeAndValue { oid: *oid, value: attribute_value(*oid, value)? };
            names.push(RelativeDistinguishedName::try_from(vec![attribute])?);
        }
        let key_usage = match usage {
            CertificateUse::Authentication => {
                KeyUsages::DigitalSignature | KeyUsages::DataEncipherment | KeyUsages::KeyEncipherment
            }
            CertificateUse::Signing => KeyUsages::NonRepudiation | KeyUsages::KeyCertSign,
        };
        let mut extensions = vec![extension(&KeyUsage(key_usage))?];
        if let Some(name) = &self.alternative_name {
            extensions.push(extension(&SubjectAltName(vec![GeneralName::DnsName(Ia5String::new(name)?)]))?);
        }
        let requested = Any::encode_from(&ExtensionReq(extensions))?;
        let attribute = Attribute { oid: ExtensionReq::OID, values: SetOfVec::try_from(vec![requested])? };
        Ok(CertReqInfo {
            version: Version::V1,
            subject: Name::from_der(&names.to_der()?)?,
            public_key: public_key.to_spki()?,
            attributes: SetOfVec::try_from(vec![attribute])?,
        })
    }
}

/// A value in the kind of string that RFC 5280 Appendix A asks for, or that holds it.
fn attribute_value(oid: ObjectIdentifier, value: &str) -> Result<Any, der::Error> {
    let tag = match oid {
        COUNTRY | SERIAL_NUMBER if PrintableString::new(value).is_ok() => Tag::PrintableString,
        DOMAIN_COMPONENT | EMAIL_ADDRESS if value.is_ascii() => Tag::Ia5String,
        _ => Tag::Utf8String,
    };
    Any::new(tag, value.as_bytes())
}

fn extension<T: Encode + AssociatedOid>(value: &T) -> Result<Extension, der::Error> {
    let extn_value = OctetString::new(value.to_der()?)?;
    Ok(Extension { extn_id: T::OID, critical: false, extn_value })
}
