use std::str::FromStr;

use uuk_testkit::authority::KeyKind;

use super::*;
use crate::sample::{Identity, authority};

const XROAD: &str = "ee.ria.xroad.common.certificateprofile.impl";

/// What an operator of an invented country writes: the code is a tax number behind the class, split by a hyphen, and
/// only certificates of the state's own authority count.
const WONDERLAND: &str = r#"
    [[profile]]
    name = "wonderland"
    member = [
        { subject = { O = 'State of Wonderland', "2.5.4.97" = '(?<class>GOV|COM)-(?<code>[0-9]{6})', C = 'WL' } },
        { without = ["organizationIdentifier"], class = "PERSON", subject = { UID = '(?<code>[0-9]+)', C = 'WL' } },
    ]
    authentication = ["C=WL", "CN={dns}"]
    signing = ["C=WL", "O={member_name}", "2.5.4.97={member_class}-{member_code}", "L={city}", "subjectAltName=s.{dns}"]
"#;

fn profile(name: &str) -> CertificateProfile {
    CertificateProfiles::default().with(WONDERLAND).unwrap().find(name).unwrap().clone()
}

fn built_in(provider: &str) -> CertificateProfile {
    profile(&format!("{XROAD}.{provider}CertificateProfileInfoProvider"))
}

/// `subject` is an RFC 4514 string: its first attribute is the last in DER.
#[track_caller]
fn check(profile: &CertificateProfile, subject: &str, expected: Option<&str>) {
    let found = profile.member_of(&Name::from_str(subject).unwrap(), "XX");
    assert_eq!(found.map(|member| member.to_string()).as_deref(), expected, "{subject}");
}

#[test]
fn basic_takes_category_and_serial_number() {
    for provider in ["Basic", "BasicACME"] {
        let profile = built_in(provider);
        check(&profile, "CN=Ministry,2.5.4.15=GOV,2.5.4.5=70000001", Some("XX/GOV/70000001"));
        check(&profile, "CN=Ministry,2.5.4.5=70000001", None);
        check(&profile, "CN=Ministry,2.5.4.15=GOV", None);
    }
}

#[test]
fn ejbca_takes_country_organization_and_common_name() {
    let profile = built_in("Ejbca");
    check(&profile, "CN=bar,O=Foo,C=YY", Some("YY/Foo/bar"));
    for lacking in ["O=Foo,C=YY", "CN=bar,C=YY", "CN=bar,O=Foo"] {
        check(&profile, lacking, None);
    }
}

#[test]
fn finland_splits_the_serial_number_and_knows_two_older_forms() {
    let profile = built_in("FiVRK");
    check(&profile, "2.5.4.5=FI-TEST/server/PUB,CN=1234567-8,O=ACME,C=FI", Some("FI-TEST/PUB/1234567-8"));
    check(&profile, "CN=1234567-8,OU=PUB,O=FI-TEST,C=FI", Some("FI-TEST/PUB/1234567-8"));
    check(&profile, "CN=0245437-2,O=GOV,C=FI-DEV", Some("FI-DEV/GOV/0245437-2"));
    for wrong in [
        "2.5.4.5=///,CN=1234567-8,O=ACME,C=FI",
        "2.5.4.5=1/2/3/4,CN=1234567-8,O=ACME,C=FI",
        "2.5.4.5=FI-TEST/server/PUB,CN=1234567-8,O=ACME,C=XX",
        "2.5.4.5=FI-TEST/server/PUB,CN=1234567-8,C=FI",
        "CN=1234567-8,OU=PUB,O=FI-TEST,C=XX",
    ] {
        check(&profile, wrong, None);
    }
}

#[test]
fn iceland_needs_a_serial_number_unless_the_form_is_old() {
    let profile = built_in("Is");
    check(&profile, "2.5.4.5=IS/GOV/1/ss,CN=1,OU=GOV,O=IS-DEV,C=IS", Some("IS-DEV/GOV/1"));
    check(&profile, "CN=1,O=GOV,C=IS-DEV", Some("IS-DEV/GOV/1"));
    check(&profile, "CN=1,OU=GOV,O=IS-DEV,C=IS", None);
    check(&profile, "2.5.4.5=x,CN=1,OU=GOV,O=IS-DEV,C=FO", None);
}

#[test]
fn faroe_islands_need_a_serial_number() {
    let profile = built_in("Fo");
    check(&profile, "2.5.4.5=x,CN=1,OU=GOV,O=FO-DEV,C=FO", Some("FO-DEV/GOV/1"));
    check(&profile, "CN=1,OU=GOV,O=FO-DEV,C=FO", None);
    check(&profile, "2.5.4.5=x,CN=1,OU=GOV,O=FO-DEV,C=IS", None);
}

#[test]
fn estonia_tells_the_class_from_register_or_first_digit() {
    let profile = built_in("SkKlass3");
    for (subject, expected) in [
        ("2.5.4.5=16543212", Some("XX/COM/16543212")),
        ("2.5.4.5=66543212", Some("XX/COM/66543212")),
        ("2.5.4.5=76543212", Some("XX/GOV/76543212")),
        ("2.5.4.5=86543212", Some("XX/NGO/86543212")),
        ("2.5.4.5=96543212", Some("XX/NGO/96543212")),
        ("2.5.4.97=NTREE-16543212,2.5.4.5=76543212", Some("XX/COM/16543212")),
        ("2.5.4.97=GO:EE-86543212", Some("XX/GOV/86543212")),
        ("2.5.4.97=NP:EE-96543212", Some("XX/NGO/96543212")),
        ("2.5.4.97=NP:FI-96543212", Some("XX/NEE/NP:FI-96543212")),
        ("2.5.4.97=NTREE-", None),
        ("2.5.4.5=06543212", None),
        ("2.5.4.5=123", None),
        ("2.5.4.5=s1234567", None),
        ("CN=7654321", None),
    ] {
        let member = profile.member_of(&Name::from_str(subject).unwrap(), "XX");
        let found = member.map(|member| format!("{}/{}/{}", member.instance, member.class, member.code));
        assert_eq!(found.as_deref(), expected, "{subject}");
    }
}

#[test]
fn estonian_persons_are_known_by_serial_number() {
    check(&built_in("SkEsteId"), "2.5.4.5=47101010033", Some("XX/PERSON/47101010033"));
    check(&built_in("SkEsteId"), "CN=x", None);
}

#[test]
fn a_country_defines_its_own_in_configuration_alone() {
    let profile = profile("wonderland");
    check(&profile, "2.5.4.97=GOV-123456,O=State of Wonderland,C=WL", Some("XX/GOV/123456"));
    check(&profile, "UID=77,C=WL", Some("XX/PERSON/77"));
    check(&profile, "2.5.4.97=GOV-123456,O=Looking-glass,C=WL", None);
    check(&profile, "2.5.4.97=EDU-123456,O=State of Wonderland,C=WL", None);
}

#[test]
fn of_several_attributes_the_last_in_der_counts() {
    check(&built_in("Ejbca"), "CN=counts,CN=not,O=Foo,C=YY", Some("YY/Foo/counts"));
}

#[test]
fn refuses_multi_valued_names() {
    check(&built_in("Ejbca"), "CN=bar+2.5.4.5=1,O=Foo,C=YY", None);
}

#[test]
fn requests_say_what_the_profile_asks() {
    let member: MemberId = "WL/GOV/123456".parse().unwrap();
    let server: ServerId = "WL/COM/1/ss1".parse().unwrap();
    let fields =
        BTreeMap::from([("city".to_owned(), "Tea".to_owned()), ("dns".to_owned(), "a.example".to_owned())]);
    let applicant = Applicant { member: &member, member_name: "Ministry of Tea", server: &server, fields };
    let wonderland = profile("wonderland");
    assert_eq!(wonderland.fields(CertificateUse::Signing), ["city", "dns"]);
    let subject = wonderland.requested_subject(CertificateUse::Signing, &applicant).unwrap();
    assert_eq!(values(&subject), ["WL", "Ministry of Tea", "GOV-123456", "Tea"]);
    assert_eq!(subject.alternative_name.as_deref(), Some("s.a.example"));

    let iceland = built_in("Is").requested_subject(CertificateUse::Signing, &applicant).unwrap();
    assert_eq!(values(&iceland), ["IS", "WL", "GOV", "123456", "WL/COM/1/ss1"]);

    let empty = Applicant { fields: BTreeMap::new(), ..applicant };
    let error = wonderland.requested_subject(CertificateUse::Authentication, &empty).unwrap_err();
    assert!(matches!(&error, ProfileError::FieldMissing { field } if field == "dns"), "{error}");
}

fn values(subject: &RequestedSubject) -> Vec<&str> {
    subject.attributes.iter().map(|(_, value)| value.as_str()).collect()
}

#[test]
fn refuses_an_alternative_name_that_is_none() {
    let identity: Identity = authority("Root").issue("Signer", KeyKind::P256).unwrap().into();
    let subject =
        RequestedSubject { attributes: Vec::new(), alternative_name: Some("чай.example".to_owned()) };
    let public_key = identity.certificate.public_key().unwrap();
    let error = subject.request(CertificateUse::Signing, &public_key, &identity.key).unwrap_err();
    assert_eq!(error.code(), "certificate_request.subject");
}

#[test]
fn refuses_an_unknown_name() {
    let error = CertificateProfiles::default().find("Basic").unwrap_err();
    assert!(matches!(error, ProfileError::Unknown { .. }), "{error}");
}

#[test]
fn refuses_a_name_defined_twice() {
    let error = CertificateProfiles::default().with(WONDERLAND).unwrap().with(WONDERLAND).unwrap_err();
    assert!(matches!(error, ProfileError::Duplicate { .. }), "{error}");
}

#[test]
fn refuses_other_toml() {
    let error = CertificateProfiles::default().with("[[profile]]\nname = 'x'\nmembers = []").unwrap_err();
    assert!(matches!(error, ProfileError::Malformed(_)), "{error}");
}

#[test]
fn refuses_definitions_that_cannot_work() {
    for (form, problem) in [
        ("class = 'A', subject = { CN = '.+' }", "instead of class, code"),
        ("class = 'A', subject = { CN = '(?<code>.+)', O = '(?<class>.+)' }", "instead of class, code"),
        ("class = 'A', subject = { CN = '(?<cod>.+)' }", "instead of class, code"),
        ("class = 'A', subject = { CN = '(?<code>' }", "no regular expression"),
        ("class = 'A', subject = { CN = '(?<code>(.{500}){500})' }", "too large"),
        ("class = 'A', subject = { common = '(?<code>.+)' }", "no attribute type `common`"),
    ] {
        let toml = format!("[[profile]]\nname = 'x'\nmember = [{{ {form} }}]");
        let error = CertificateProfiles::default().with(&toml).unwrap_err();
        assert!(
            matches!(error, ProfileError::Definition { .. }) && error.to_string().contains(problem),
            "{error}"
        );
    }
    for (field, problem) in [
        ("CN", "no `=`"),
        ("CN={dns", "closing brace"),
        ("CN={member_nam}", "no `{member_nam}`"),
        ("X=y", "no attribute type"),
    ] {
        let toml = format!("[[profile]]\nname = 'x'\nmember = []\nsigning = ['{field}']");
        let error = CertificateProfiles::default().with(&toml).unwrap_err();
        assert!(
            matches!(error, ProfileError::Definition { .. }) && error.to_string().contains(problem),
            "{error}"
        );
    }
}
