use jiff::ToSpan;
use jiff::civil::date;
use uuk_asic::{PartReference, VerifyError, sign};
use uuk_pki::{ChainError, DigestAlgorithm};
use uuk_testkit::authority::{Authority, KeyKind};
use uuk_testkit::xmlsec;

use super::*;
use crate::author::sign_author;
use crate::sample::{self, Person, now, statement};

/// An author, a vetter, and trust in both.
struct Parties {
    author: Person,
    vetter: Person,
    trust: Trust,
}

impl Parties {
    fn new() -> Self {
        Self::of(Person::new("Author", KeyKind::P256), Person::new("Vetter", KeyKind::Rsa2048))
    }

    fn of(author: Person, vetter: Person) -> Self {
        let trust =
            Trust { author_anchors: author.anchors(), vetting_anchors: vetter.anchors(), ..Trust::default() };
        Self { author, vetter, trust }
    }

    fn signed(&self) -> Bundle {
        sample::read(&sign_author(&sample::unsigned(), &self.author.signer(), now()).unwrap())
    }

    fn vetted(&self) -> Bundle {
        self.vetted_with(&statement())
    }

    fn vetted_with(&self, statement: &VettingStatement) -> Bundle {
        sample::read(&vet(&self.signed(), statement, &self.vetter.signer(), now()).unwrap())
    }

    /// A bundle vetted with a statement that [`vet`] would not make.
    fn forged_with(&self, statement: &[u8]) -> Vec<u8> {
        let stated = sample::read(&changed(&self.signed(), |entries| {
            entries.push(entry("vetting.json", statement));
        }));
        let signature = stated.sign(Role::Vetting, &self.vetter.signer(), now()).unwrap();
        changed(&stated, |entries| entries.push(signature))
    }

    fn verify(&self, bytes: &[u8]) -> Result<VettedBundle, BundleError> {
        verify(bytes, &self.trust, now())
    }
}

#[test]
fn accepts_a_bundle_signed_and_vetted() {
    let parties = Parties::new();
    let vetted = parties.vetted();
    let verified = parties.verify(&vetted.container().write()).unwrap();
    assert_eq!(verified.bundle().digest(), vetted.digest());
    assert_eq!(verified.author().signer, parties.author.certificate);
    assert_eq!(verified.vetter().signer, parties.vetter.certificate);
    assert_eq!(*verified.statement(), statement());
}

#[test]
fn xmlsec1_accepts_both_signatures_by_both_kinds_of_key() {
    for (author, vetter) in [(KeyKind::P256, KeyKind::Rsa2048), (KeyKind::Rsa2048, KeyKind::P256)] {
        let parties = Parties::of(Person::new("Author", author), Person::new("Vetter", vetter));
        let folder = tempfile::tempdir().unwrap();
        for entry in parties.vetted().container().entries() {
            let path = folder.path().join(entry.name.as_str());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &entry.bytes).unwrap();
        }
        for (role, person) in [(Role::Author, &parties.author), (Role::Vetting, &parties.vetter)] {
            let authorities = person.authorities.each_ref().map(Authority::pem);
            let Some(verdict) = xmlsec::verify(folder.path(), role.entry(), &authorities, now()).unwrap()
            else {
                return;
            };
            assert!(verdict.accepted, "{role}: {}", verdict.said);
        }
    }
}

#[test]
fn accepts_an_author_whose_certificate_expired_after_the_vetting() {
    let author = Person::certified_on(date(2025, 12, 1), "Author", KeyKind::P256);
    let parties = Parties::of(author, Person::new("Vetter", KeyKind::P256));
    let vetted = parties.vetted().container().write();
    let later = "2027-03-01T00:00:00Z".parse().unwrap();
    assert!(verify(&vetted, &parties.trust, later).is_ok());
}

#[test]
fn accepts_a_vetting_with_a_time_stamp_in_its_signature() {
    let parties = Parties::new();
    let pending = prepare_vetting(&parties.signed(), &statement(), &parties.vetter.signer(), now()).unwrap();
    let imprint = pending.imprint().clone();
    let verified = parties.verify(&pending.complete(b"token").unwrap()).unwrap();
    let stamp = verified.vetter().time_stamp.clone().unwrap();
    assert_eq!((stamp.token.as_slice(), stamp.imprint), (b"token".as_slice(), imprint));
}

#[test]
fn refuses_a_bundle_without_any_signature() {
    let parties = Parties::new();
    let error = parties.verify(&sample::unsigned().container().write()).unwrap_err();
    assert!(
        matches!(error, BundleError::VettingMissing { name: "META-INF/signatures-vetting.xml" }),
        "{error}"
    );
    let error = AuthoredBundle::verify(sample::unsigned(), &parties.trust.author_anchors, now()).unwrap_err();
    assert!(matches!(error, BundleError::AuthorSignatureMissing), "{error}");
}

#[test]
fn refuses_a_bundle_that_is_signed_but_not_vetted() {
    let parties = Parties::new();
    let error = parties.verify(&parties.signed().container().write()).unwrap_err();
    assert!(matches!(error, BundleError::VettingMissing { .. }), "{error}");
}

#[test]
fn refuses_to_vet_an_unsigned_bundle() {
    let parties = Parties::new();
    let error = vet(&sample::unsigned(), &statement(), &parties.vetter.signer(), now()).unwrap_err();
    assert!(matches!(error, BundleError::AuthorSignatureMissing), "{error}");
}

#[test]
fn refuses_a_stripped_vetting_signature() {
    let parties = Parties::new();
    let stripped = changed(&parties.vetted(), |entries| remove(entries, Role::Vetting.entry()));
    let error = parties.verify(&stripped).unwrap_err();
    assert!(matches!(error, BundleError::VettingMissing { .. }), "{error}");
}

#[test]
fn refuses_a_stripped_vetting_statement() {
    let parties = Parties::new();
    let stripped = changed(&parties.vetted(), |entries| remove(entries, VETTING_STATEMENT));
    expect_signature(&parties, &stripped, Role::Vetting, "signature.missing_part");
}

#[test]
fn refuses_a_stripped_author_signature() {
    let parties = Parties::new();
    let stripped = changed(&parties.vetted(), |entries| remove(entries, Role::Author.entry()));
    expect_signature(&parties, &stripped, Role::Vetting, "signature.missing_part");
}

#[test]
fn refuses_an_author_signature_exchanged_after_the_vetting() {
    let parties = Parties::new();
    let other =
        sign_author(&sample::unsigned(), &Person::new("Other", KeyKind::P256).signer(), now()).unwrap();
    let other = sample::read(&other).part(Role::Author.entry()).unwrap().to_vec();
    let forged = changed(&parties.vetted(), |entries| replace(entries, Role::Author.entry(), &other));
    expect_signature(&parties, &forged, Role::Vetting, "signature.part_modified");
}

#[test]
fn refuses_a_swapped_manifest_by_name() {
    let parties = Parties::new();
    let other = sample::MANIFEST.replace("text", "json");
    let forged = changed(&parties.vetted(), |entries| replace(entries, "plugin.toml", other.as_bytes()));
    let error = parties.verify(&forged).unwrap_err();
    assert!(
        matches!(&error, BundleError::Signature { source: VerifyError::PartModified { uri }, .. } if uri == "plugin.toml"),
        "{error}"
    );
}

#[test]
fn refuses_a_swapped_component() {
    let parties = Parties::new();
    let forged = changed(&parties.vetted(), |entries| replace(entries, "adapter.wasm", b"\0asm"));
    expect_signature(&parties, &forged, Role::Vetting, "signature.part_modified");
}

#[test]
fn refuses_a_part_added_after_the_author_signed() {
    let parties = Parties::new();
    let forged = changed(&parties.signed(), |entries| entries.push(entry("fixtures/more.json", b"{}")));
    let error = vet(&sample::read(&forged), &statement(), &parties.vetter.signer(), now()).unwrap_err();
    assert!(
        matches!(&error, BundleError::UncoveredPart { role: Role::Author, name } if name.as_str() == "fixtures/more.json"),
        "{error}"
    );
}

#[test]
fn refuses_a_signature_that_covers_what_it_should_not() {
    let parties = Parties::new();
    let bundle = sample::unsigned();
    let mut names: Vec<_> = bundle.parts().map(|part| part.name.as_str()).collect();
    names.push("mimetype");
    let references: Vec<_> = names
        .iter()
        .map(|name| PartReference {
            uri: name,
            digest: DigestAlgorithm::Sha512.digest(bundle.part(name).unwrap()),
            media_type: "text/plain",
        })
        .collect();
    let signature = sign(&parties.author.signer(), &references, now()).unwrap();
    let forged = changed(&bundle, |entries| entries.push(entry(Role::Author.entry(), &signature)));
    let error =
        AuthoredBundle::verify(sample::read(&forged), &parties.trust.author_anchors, now()).unwrap_err();
    assert!(matches!(&error, BundleError::ForeignReference { uri, .. } if uri == "mimetype"), "{error}");
}

#[test]
fn refuses_a_foreign_author() {
    let mut parties = Parties::new();
    parties.trust.author_anchors = Person::new("Other", KeyKind::P256).anchors();
    let error = parties.verify(&parties.vetted().container().write()).unwrap_err();
    assert!(
        matches!(&error, BundleError::Signer { role: Role::Author, source: ChainError::Untrusted { .. } }),
        "{error}"
    );
    assert_eq!(error.code(), "chain.untrusted");
}

#[test]
fn refuses_a_foreign_vetter() {
    let mut parties = Parties::new();
    parties.trust.vetting_anchors = parties.author.anchors();
    let error = parties.verify(&parties.vetted().container().write()).unwrap_err();
    assert!(
        matches!(&error, BundleError::Signer { role: Role::Vetting, source: ChainError::Untrusted { .. } }),
        "{error}"
    );
}

#[test]
fn refuses_an_expired_vetting_certificate() {
    let parties = Parties::new();
    let mut long = statement();
    long.expires = "2030-01-01T00:00:00Z".parse().unwrap();
    let vetted = parties.vetted_with(&long).container().write();
    let error = verify(&vetted, &parties.trust, "2028-01-01T00:00:00Z".parse().unwrap()).unwrap_err();
    assert!(
        matches!(&error, BundleError::Signer { role: Role::Vetting, source: ChainError::Expired { .. } }),
        "{error}"
    );
}

#[test]
fn refuses_an_author_certificate_that_expired_before_the_vetting() {
    let author = Person::certified_on(date(2024, 1, 1), "Author", KeyKind::P256);
    let parties = Parties::of(author, Person::new("Vetter", KeyKind::P256));
    let error = parties.verify(&parties.vetted().container().write()).unwrap_err();
    assert!(
        matches!(&error, BundleError::Signer { role: Role::Author, source: ChainError::Expired { .. } }),
        "{error}"
    );
}

#[test]
fn refuses_an_expired_vetting() {
    let parties = Parties::new();
    let vetted = parties.vetted().container().write();
    let error = verify(&vetted, &parties.trust, "2027-07-01T00:00:00Z".parse().unwrap()).unwrap_err();
    assert!(matches!(error, BundleError::VettingExpired { .. }), "{error}");
}

#[test]
fn refuses_to_vet_until_a_day_that_is_past() {
    let parties = Parties::new();
    let mut past = statement();
    past.expires = now() - 1.hour();
    let error = vet(&parties.signed(), &past, &parties.vetter.signer(), now()).unwrap_err();
    assert!(matches!(error, BundleError::VettingExpired { .. }), "{error}");
}

#[test]
fn refuses_a_vetting_from_the_future() {
    let parties = Parties::new();
    let vetted = parties.vetted().container().write();
    let error = verify(&vetted, &parties.trust, now() - 6.minutes()).unwrap_err();
    assert!(matches!(error, BundleError::VettingInFuture { .. }), "{error}");
    assert!(verify(&vetted, &parties.trust, now() - 4.minutes()).is_ok());
}

#[test]
fn refuses_a_revoked_file() {
    let mut parties = Parties::new();
    let vetted = parties.vetted();
    parties.trust.revoked.insert(vetted.digest());
    let error = parties.verify(&vetted.container().write()).unwrap_err();
    assert!(matches!(error, BundleError::Revoked { digest } if digest == vetted.digest()), "{error}");
}

#[test]
fn refuses_revoked_contents_however_they_are_signed() {
    let mut parties = Parties::new();
    parties.trust.revoked.insert(sample::unsigned().content_digest());
    let error = parties.verify(&parties.vetted().container().write()).unwrap_err();
    assert!(matches!(error, BundleError::Revoked { .. }), "{error}");
}

#[test]
fn refuses_a_version_below_the_lowest_allowed() {
    let mut parties = Parties::new();
    parties.trust.minimum_versions.insert("kg.example.people".to_owned(), Version::new(1, 2, 1));
    let error = parties.verify(&parties.vetted().container().write()).unwrap_err();
    assert!(
        matches!(&error, BundleError::BelowMinimumVersion { minimum, .. } if *minimum == Version::new(1, 2, 1)),
        "{error}"
    );
}

#[test]
fn refuses_one_reviewer_under_two_spellings() {
    let parties = Parties::new();
    let mut alone = statement();
    alone.reviewers = vec!["Aigul".to_owned(), " aigul".to_owned()];
    let error = vet(&parties.signed(), &alone, &parties.vetter.signer(), now()).unwrap_err();
    assert!(matches!(error, BundleError::TooFewReviewers), "{error}");
    let forged = parties.forged_with(&serde_json::to_vec(&alone).unwrap());
    assert!(matches!(parties.verify(&forged), Err(BundleError::TooFewReviewers)));
}

#[test]
fn refuses_a_statement_about_another_version() {
    let parties = Parties::new();
    let mut other = statement();
    other.version = Version::new(1, 1, 0);
    let error = parties.verify(&parties.forged_with(&serde_json::to_vec(&other).unwrap())).unwrap_err();
    assert!(matches!(&error, BundleError::VettingForOther { .. }), "{error}");
}

#[test]
fn refuses_a_malformed_statement() {
    let parties = Parties::new();
    let error = parties.verify(&parties.forged_with(b"{\"plugin\": 1}")).unwrap_err();
    assert!(matches!(&error, BundleError::VettingStatement { .. }), "{error}");
}

#[test]
fn refuses_an_author_who_vets() {
    let parties = Parties::new();
    let error = vet(&parties.signed(), &statement(), &parties.author.signer(), now()).unwrap_err();
    assert!(matches!(error, BundleError::SelfVetted { .. }), "{error}");
}

#[test]
fn signing_again_drops_the_vetting() {
    let parties = Parties::new();
    let again = sample::read(&sign_author(&parties.vetted(), &parties.author.signer(), now()).unwrap());
    assert!(again.part(VETTING_STATEMENT).is_none());
    assert!(again.signatures().vetting.is_none());
    assert!(again.signatures().author.unwrap().is_ok());
}

fn expect_signature(parties: &Parties, bytes: &[u8], role: Role, code: &str) {
    let error = parties.verify(bytes).unwrap_err();
    assert!(matches!(&error, BundleError::Signature { role: found, .. } if *found == role), "{error}");
    assert_eq!(error.code(), code);
}

/// The bundle with its parts and signatures changed, and its list of parts made anew.
fn changed(bundle: &Bundle, change: impl FnOnce(&mut Vec<Entry>)) -> Vec<u8> {
    let mut entries: Vec<Entry> = bundle
        .container()
        .entries()
        .iter()
        .filter(|entry| !matches!(entry.name.as_str(), "mimetype" | "META-INF/manifest.xml"))
        .cloned()
        .collect();
    change(&mut entries);
    let (signatures, parts) = entries.into_iter().partition(|entry| entry.name.is_meta());
    assemble(parts, signatures).unwrap()
}

fn entry(name: &str, bytes: &[u8]) -> Entry {
    Entry { name: EntryName::new(name).unwrap(), bytes: Arc::from(bytes) }
}

fn remove(entries: &mut Vec<Entry>, name: &str) {
    entries.retain(|entry| entry.name.as_str() != name);
}

fn replace(entries: &mut [Entry], name: &str, bytes: &[u8]) {
    let found = entries.iter_mut().find(|entry| entry.name.as_str() == name).unwrap();
    found.bytes = Arc::from(bytes);
}
