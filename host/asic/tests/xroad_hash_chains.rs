//! The hash chains of the X-Road project, with the verdicts of its own tests.

#![expect(clippy::panic, reason = "what a test's helpers cannot do, the test reports")]

use uuk_asic::{ChainNames, HashChainError, HashChains, verify_hash_chain};
use uuk_pki::DigestAlgorithm;
use uuk_testkit::fixtures;

const MESSAGE: &str = "/message.xml";

/// `hc-verifier<result>-hashchainresult.xml`, its chain documents by URI and file, the file of the message, and the
/// parts that must be covered.
struct Case {
    result: u8,
    chains: &'static [(&'static str, &'static str)],
    message: &'static str,
    required: &'static [&'static str],
}

fn read(name: &str) -> Option<Vec<u8>> {
    let path = fixtures::folder()?.join("xroad/hashchains").join(format!("hc-verifier{name}.xml"));
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn verify(case: &Case) -> Option<Result<(), HashChainError>> {
    let result = read(&format!("{}-hashchainresult", case.result))?;
    let message = read(case.message)?;
    let chains: Vec<_> =
        case.chains.iter().map(|(uri, file)| Some((*uri, read(file)?))).collect::<Option<_>>()?;
    let chains: Vec<_> = chains.iter().map(|(uri, bytes)| (*uri, bytes.as_slice())).collect();
    let verdict = verify_hash_chain(&result, &chains, case.required, |uri, algorithm| {
        (uri == MESSAGE).then(|| algorithm.digest(&message))
    });
    Some(verdict.map(|_| ()))
}

#[test]
fn says_of_every_chain_what_its_project_says() {
    const ONE: &[(&str, &str)] = &[("/hashchain.xml", "1-hashchain")];
    const THREE: &[(&str, &str)] = &[("/hashchain.xml", "3-hashchain")];
    const FOUR: &[(&str, &str)] = &[("/hashchain.xml", "4-hashchain1"), ("/hashchain2.xml", "4-hashchain2")];
    let case = |result, chains, message, required| Case { result, chains, message, required };
    let cases = [
        (case(1, ONE, "1-message", &[MESSAGE]), "ok"),
        (case(4, FOUR, "4-message", &[MESSAGE]), "ok"),
        (case(1, ONE, "1-message", &[MESSAGE, "/unused1", "/unused2"]), "hashchain_unused_inputs"),
        // X-Road computes on with the digest it found and says `invalid_hash_chain`. Here the part that differs is named.
        (case(1, ONE, "1-hashchain", &[MESSAGE]), "invalid_hash_chain_ref"),
        // Digests of one byte, which no algorithm makes. X-Road takes them from its test.
        (case(2, &[("/hashchain.xml", "2-hashchain")], "1-message", &[MESSAGE]), "malformed_hash_chain"),
        // A transformed part: the chain stands for something derived from the message. X-Road accepts the first.
        (case(3, THREE, "3-message", &[MESSAGE]), "malformed_hash_chain"),
        (
            case(3, &[("/hashchain.xml", "3-hashchain-invalid")], "3-message", &[MESSAGE]),
            "invalid_hash_chain_ref",
        ),
        (
            case(3, &[("/hashchain.xml", "5-hashchain-invalid-schema")], "3-message", &[MESSAGE]),
            "malformed_hash_chain",
        ),
    ];
    for (case, expected) in cases {
        let Some(verdict) = verify(&case) else { return };
        let code = verdict.as_ref().map_or_else(HashChainError::xroad_code, |()| "ok");
        assert_eq!(code, expected, "{:?}: {verdict:?}", case.chains);
    }
}

#[test]
fn builds_the_very_documents_of_its_servers() {
    let Some(folder) = fixtures::folder() else { return };
    let read = |name| std::fs::read(folder.join("xroad/signatures/globalconf-impl").join(name)).unwrap();
    let parts = [read("message-1.xml"), b"blaah".to_vec()];
    let digests = parts.iter().map(|part| DigestAlgorithm::Sha512.digest(part)).collect();
    let built = HashChains::new(ChainNames::SIGNATURE, vec![digests])
        .and_then(|chains| chains.documents_of(0))
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&built.result),
        String::from_utf8_lossy(&read("hash-chain-result.xml"))
    );
    assert_eq!(String::from_utf8_lossy(&built.chain), String::from_utf8_lossy(&read("hash-chain-1.xml")));
}
