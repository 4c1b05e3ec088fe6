//! A sound signature, changed in one way each time.

use jiff::civil::date;
use uuk_pki::SoftwareKey;
use uuk_testkit::authority::{Authority, KeyKind, SigningIdentity};

use super::*;
use crate::xades::{PartReference, SignError, Signer, sign};

const MESSAGE: &[u8] = b"<message/>";

fn identity(authority: &str) -> SigningIdentity {
    Authority::new(authority, date(2026, 11, 1)).unwrap().issue("Signer", KeyKind::P256).unwrap()
}

fn sign_with(key: &SigningIdentity, certificate: &SigningIdentity) -> Result<Vec<u8>, SignError> {
    sign(
        &Signer {
            key: &SoftwareKey::from_pkcs8(&key.key_der()).unwrap(),
            certificate: &Certificate::from_der(&certificate.der()).unwrap(),
            intermediates: &[],
        },
        &[PartReference { uri: "/message.xml", digest: digest(MESSAGE), media_type: "text/xml" }],
        "2026-11-22T08:00:00Z".parse().unwrap(),
    )
}

fn signed() -> String {
    let identity = identity("Authority");
    String::from_utf8(sign_with(&identity, &identity).unwrap()).unwrap()
}

fn digest(bytes: &[u8]) -> Digest {
    DigestAlgorithm::Sha512.digest(bytes)
}

fn verify_message(document: &[u8]) -> Result<VerifiedSignature, VerifyError> {
    verify(document, |uri, algorithm| (uri == "/message.xml").then(|| algorithm.digest(MESSAGE)))
}

#[track_caller]
fn refuses(document: impl AsRef<[u8]>, code: &str) {
    let error = verify_message(document.as_ref()).map(|verified| verified.parts).unwrap_err();
    assert_eq!(error.code(), format!("signature.{code}"), "{error}");
}

/// Refuses the sound signature after `from`, which must be there, became `to`.
#[track_caller]
fn refuses_changed(from: &str, to: &str, code: &str) {
    let sound = signed();
    assert!(sound.contains(from), "{sound}");
    refuses(sound.replacen(from, to, 1), code);
}

/// The text between two marks of the sound signature, marks included.
fn cut<'a>(document: &'a str, start: &str, end: &str) -> &'a str {
    let from = document.find(start).unwrap();
    let to = from + document[from..].find(end).unwrap() + end.len();
    &document[from..to]
}

#[test]
fn accepts_a_sound_signature() {
    let verified = verify_message(signed().as_bytes()).unwrap();
    assert_eq!(verified.parts, [SignedPart { uri: "/message.xml".to_owned(), digest: digest(MESSAGE) }]);
    assert_eq!(verified.claimed_time.to_string(), "2026-11-22T08:00:00Z");
    assert_eq!(verified.signer.subject(), "O=Test\\, Inc.,CN=Signer");
}

#[test]
fn accepts_carriage_returns_in_base64() {
    let sound = signed();
    let value = cut(&sound, "<ds:SignatureValue Id=\"signature-value\">", "</ds:SignatureValue>");
    let wrapped = value.replace("</", "&#13;\n</");
    assert!(verify_message(sound.replace(value, &wrapped).as_bytes()).is_ok());
}

#[test]
fn refuses_a_document_that_is_too_large() {
    refuses(vec![b' '; 3 << 20], "too_large");
}

#[test]
fn refuses_other_encodings() {
    refuses([0xff, 0xfe, b'<', 0], "not_utf8");
    refuses_changed("UTF-8", "ISO-8859-1", "not_utf8");
}

#[test]
fn refuses_a_document_type_with_entities() {
    let bomb = "?>\n<!DOCTYPE a [<!ENTITY b \"&c;&c;\"><!ENTITY c \"lol\">]>";
    refuses_changed("?>", bomb, "document_type");
}

#[test]
fn refuses_deep_nesting() {
    refuses(format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000)), "too_deep");
}

#[test]
fn refuses_malformed_xml() {
    refuses("", "malformed");
    refuses("<a>", "malformed");
    refuses_changed("</ds:Signature>", "", "malformed");
}

#[test]
fn refuses_undefined_entities() {
    refuses_changed("<ds:KeyInfo>", "<ds:KeyInfo>&lol;", "malformed");
}

#[test]
fn refuses_comments_that_canonicalisation_drops() {
    refuses_changed("<ds:DigestValue>", "<ds:DigestValue><!-- x -->", "unexpected_node");
}

#[test]
fn refuses_processing_instructions() {
    refuses_changed("<ds:KeyInfo>", "<?x y?><ds:KeyInfo>", "unexpected_node");
}

#[test]
fn refuses_cdata() {
    refuses_changed("<ds:KeyInfo>", "<ds:KeyInfo><![CDATA[ ]]>", "unexpected_node");
}

#[test]
fn refuses_duplicate_identifiers() {
    refuses_changed("<ds:KeyInfo>", "<ds:KeyInfo Id=\"signed-properties\">", "duplicate_id");
    refuses_changed("<ds:KeyInfo>", "<ds:KeyInfo id=\"signed-properties\">", "duplicate_id");
    refuses_changed("<ds:KeyInfo>", "<ds:KeyInfo xml:id=\"signed-properties\">", "duplicate_id");
}

#[test]
fn refuses_a_document_without_signature() {
    refuses("<a/>", "no_signature");
    refuses("<ds:Signature xmlns:ds=\"urn:other\"/>", "no_signature");
}

#[test]
fn refuses_a_signature_below_something_else() {
    refuses_changed("<ds:Signature ", "<a><ds:Signature ", "malformed");
    let wrapped = signed()
        .replace("<ds:Signature ", "<a><ds:Signature ")
        .replace("</ds:Signature>", "</ds:Signature></a>");
    refuses(wrapped, "no_signature");
}

#[test]
fn refuses_two_signatures() {
    let sound = signed();
    let signature = cut(&sound, "<ds:Signature ", "</ds:Signature>");
    let other = signature.replace(" Id=\"", " Id=\"other-");
    refuses(
        sound.replace("</asic:XAdESSignatures>", &format!("{other}</asic:XAdESSignatures>")),
        "several_signatures",
    );
    refuses(sound.replace("</ds:Object>", "<ds:Signature/></ds:Object>"), "several_signatures");
}

#[test]
fn refuses_a_second_signed_info() {
    let sound = signed();
    let info = cut(&sound, "<ds:SignedInfo>", "</ds:SignedInfo>");
    let other = info.replace(" Id=\"", " Id=\"other-");
    refuses(sound.replace("<ds:KeyInfo>", &format!("{other}<ds:KeyInfo>")), "structure");
}

#[test]
fn refuses_an_algorithm_with_parameters() {
    let method = "xmldsig-more#ecdsa-sha512\">";
    refuses_changed(method, &format!("{method}<ds:HMACOutputLength>1</ds:HMACOutputLength>"), "structure");
}

#[test]
fn refuses_what_is_not_base64() {
    refuses_changed("<ds:DigestValue>", "<ds:DigestValue>*", "base64");
}

#[test]
fn refuses_sha_1_and_md5_digests() {
    let sha512 = "http://www.w3.org/2001/04/xmlenc#sha512";
    refuses_changed(sha512, "http://www.w3.org/2000/09/xmldsig#sha1", "algorithm_not_accepted");
    refuses_changed(sha512, "http://www.w3.org/2001/04/xmldsig-more#md5", "algorithm_not_accepted");
}

#[test]
fn refuses_sha_1_signatures() {
    let from = "xmldsig-more#ecdsa-sha512";
    refuses_changed(from, "xmldsig-more#ecdsa-sha1", "algorithm_not_accepted");
    refuses_changed(from, "xmldsig-more#hmac-sha512", "algorithm_not_accepted");
}

#[test]
fn refuses_a_certificate_named_by_sha_1() {
    let sound = signed();
    let named = cut(&sound, "<xades:CertDigest>", "</xades:CertDigest>");
    let weak =
        named.replace("http://www.w3.org/2001/04/xmlenc#sha512", "http://www.w3.org/2000/09/xmldsig#sha1");
    refuses(sound.replace(named, &weak), "algorithm_not_accepted");
}

#[test]
fn refuses_canonicalisation_with_comments() {
    let from = "REC-xml-c14n-20010315\"";
    refuses_changed(from, "REC-xml-c14n-20010315#WithComments\"", "algorithm_not_accepted");
}

#[test]
fn refuses_to_transform_a_part() {
    let transforms = "<ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\">\
                      </ds:Transform></ds:Transforms>";
    refuses_changed(
        "URI=\"/message.xml\">",
        &format!("URI=\"/message.xml\">{transforms}"),
        "transformed_part",
    );
}

#[test]
fn refuses_to_transform_the_properties_into_something_else() {
    let transforms = "<ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\">\
                      </ds:Transform></ds:Transforms>";
    let from = "URI=\"#signed-properties\">";
    refuses_changed(from, &format!("{from}{transforms}"), "algorithm_not_accepted");
}

#[test]
fn refuses_two_transforms_of_the_properties() {
    let canonical =
        "<ds:Transform Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\"></ds:Transform>";
    let from = "URI=\"#signed-properties\">";
    let one = format!("<ds:Transforms>{canonical}</ds:Transforms>");
    refuses_changed(from, &format!("{from}{one}{one}"), "structure");
    refuses_changed(
        from,
        &format!("{from}<ds:Transforms>{canonical}{canonical}</ds:Transforms>"),
        "structure",
    );
}

#[test]
fn refuses_a_reference_to_another_element() {
    refuses_changed("URI=\"/message.xml\"", "URI=\"#signature-value\"", "unexpected_reference");
}

#[test]
fn refuses_a_reference_to_the_whole_document() {
    refuses_changed("URI=\"/message.xml\"", "URI=\"\"", "unexpected_reference");
}

#[test]
fn refuses_a_reference_without_uri() {
    refuses_changed(" URI=\"/message.xml\"", "", "structure");
}

#[test]
fn refuses_a_part_that_poses_as_properties() {
    let from = "URI=\"/message.xml\"";
    let to = format!("Type=\"{SIGNED_PROPERTIES_TYPE}\" {from}");
    refuses_changed(from, &to, "unexpected_reference");
}

#[test]
fn refuses_a_part_referred_to_twice() {
    let sound = signed();
    let reference = cut(&sound, "<ds:Reference ", "</ds:Reference>");
    let twice = format!("{reference}{}", reference.replace("Id=\"", "Id=\"other-"));
    refuses(sound.replace(reference, &twice), "duplicate_reference");
}

#[test]
fn refuses_too_many_references() {
    let sound = signed();
    let reference = cut(&sound, "<ds:Reference ", "</ds:Reference>");
    let many: String = (0..2000)
        .map(|index| {
            reference.replace("Id=\"", &format!("Id=\"{index}-")).replace("/message", &format!("/{index}"))
        })
        .collect();
    refuses(sound.replace(reference, &many), "too_many_references");
}

#[test]
fn refuses_a_signature_over_no_part() {
    let sound = signed();
    let reference = cut(&sound, "<ds:Reference Id=\"signature-reference-0\"", "</ds:Reference>");
    refuses(sound.replace(reference, ""), "no_part_covered");
}

#[test]
fn refuses_properties_that_are_not_signed() {
    let sound = signed();
    let reference = cut(&sound, "<ds:Reference Id=\"signature-reference-1\"", "</ds:Reference>");
    refuses(sound.replace(reference, ""), "properties_not_covered");
}

/// Signature wrapping: the properties that were signed are moved aside, where the reference still finds them, and
/// others take their place.
#[test]
fn refuses_wrapped_properties() {
    let sound = signed();
    let properties = cut(&sound, "<xades:SignedProperties", "</xades:SignedProperties>");
    let forged = properties.replace("Id=\"signed-properties\"", "Id=\"forged\"").replace("2026", "2020");
    let wrapped = sound.replace(properties, &forged);
    let aside = |place: &str| wrapped.replacen(place, &format!("{place}{properties}"), 1);
    for place in ["<ds:KeyInfo>", "<ds:Object>"] {
        refuses(aside(place), "unexpected_reference");
    }
    // Both in the right place: which one would count?
    refuses(wrapped.replace(&forged, &format!("{forged}{properties}")), "structure");
}

#[test]
fn refuses_properties_of_another_signature() {
    refuses_changed("Target=\"#signature\"", "Target=\"#other\"", "foreign_properties");
    refuses_changed("<ds:Signature Id=\"signature\">", "<ds:Signature>", "foreign_properties");
}

#[test]
fn refuses_a_second_object() {
    refuses_changed("<ds:Object>", "<ds:Object></ds:Object><ds:Object>", "structure");
}

#[test]
fn refuses_a_missing_part() {
    let error = verify(signed().as_bytes(), |_, _| None).unwrap_err();
    assert!(matches!(&error, VerifyError::MissingPart { uri } if uri == "/message.xml"), "{error}");
}

#[test]
fn refuses_a_changed_part() {
    let error = verify(signed().as_bytes(), |_, algorithm| Some(algorithm.digest(b"other"))).unwrap_err();
    assert!(matches!(&error, VerifyError::PartModified { uri } if uri == "/message.xml"), "{error}");
}

#[test]
fn refuses_a_changed_signing_time() {
    refuses_changed("2026-11-22T08", "2026-11-22T07", "properties_modified");
}

#[test]
fn refuses_a_signing_time_without_zone() {
    refuses_changed("08:00:00.000Z", "08:00:00.000", "signing_time");
}

#[test]
fn refuses_a_changed_digest() {
    let other = uuk_pki::DigestAlgorithm::Sha512.digest(b"other");
    let encode = |digest: &Digest| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(digest.as_bytes())
    };
    refuses_changed(&encode(&digest(MESSAGE)), &encode(&other), "wrong_signature");
}

#[test]
fn refuses_another_algorithm_than_the_keys() {
    refuses_changed("ecdsa-sha512", "rsa-sha512", "wrong_signature");
    refuses_changed("ecdsa-sha512", "ecdsa-sha384", "wrong_signature");
}

#[test]
fn refuses_another_certificate_than_the_one_signed() {
    let (sound, other) = (signed(), signed());
    let certificate = |document| cut(document, "<ds:X509Certificate>", "</ds:X509Certificate>").to_owned();
    refuses(sound.replace(&certificate(&sound), &certificate(&other)), "certificate_mismatch");
}

#[test]
fn refuses_a_malformed_certificate() {
    refuses_changed(
        "<ds:X509Certificate>",
        "<ds:X509Certificate>MAA=</ds:X509Certificate><ds:X509Certificate>",
        "certificate",
    );
}

#[test]
fn refuses_a_signature_value_of_another_key() {
    let (sound, other) = (signed(), signed());
    let value = |document| cut(document, "<ds:SignatureValue Id", "</ds:SignatureValue>").to_owned();
    refuses(sound.replace(&value(&sound), &value(&other)), "wrong_signature");
}

#[test]
fn refuses_an_empty_signature_value() {
    let sound = signed();
    let value = cut(&sound, "<ds:SignatureValue Id", "</ds:SignatureValue>");
    refuses(sound.replace(value, "<ds:SignatureValue></ds:SignatureValue>"), "wrong_signature");
}

#[test]
fn does_not_sign_with_a_key_of_another_certificate() {
    let error = sign_with(&identity("Authority"), &identity("Authority")).unwrap_err();
    assert!(matches!(error, SignError::KeyMismatch { .. }), "{error}");
}

#[test]
fn does_not_sign_with_a_certificate_for_something_else() {
    let authority = Authority::new("Authority", date(2026, 11, 1)).unwrap();
    let identity = authority.issue_for_encryption("Encrypter").unwrap();
    let error = sign_with(&identity, &identity).unwrap_err();
    assert!(matches!(error, SignError::NotForSigning { .. }), "{error}");
}

#[test]
fn writes_an_issuer_whose_name_needs_escaping() {
    let identity = identity("Authority <&\u{1}\">");
    let signed = sign_with(&identity, &identity).unwrap();
    let name = cut(std::str::from_utf8(&signed).unwrap(), "CN=Authority", "</");
    assert_eq!(name, r#"CN=Authority \&lt;&amp;\01\"\&gt;</"#);
    verify_message(&signed).unwrap();
}

#[test]
fn does_not_sign_nothing() {
    let identity = identity("Authority");
    let key = SoftwareKey::from_pkcs8(&identity.key_der()).unwrap();
    let certificate = Certificate::from_der(&identity.der()).unwrap();
    let signer = Signer { key: &key, certificate: &certificate, intermediates: &[] };
    assert!(matches!(sign(&signer, &[], Timestamp::UNIX_EPOCH), Err(SignError::NoParts)));
}
