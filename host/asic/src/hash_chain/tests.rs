//! Chains made here, and X-Road's, changed in one way each time.

use super::*;
use crate::message_signature::ChainDocuments;

const ALGORITHM: DigestAlgorithm = DigestAlgorithm::Sha512;

fn digest(content: &str) -> Digest {
    ALGORITHM.digest(content.as_bytes())
}

/// Everyone who sent the message has its parts at hand and nothing else.
fn verify(documents: &ChainDocuments, parts: &[&str]) -> Result<Vec<CoveredPart>, HashChainError> {
    let uris: Vec<String> = (0..parts.len()).map(uri).collect();
    let required: Vec<&str> = uris.iter().map(String::as_str).collect();
    verify_hash_chain(
        &documents.result,
        &[(ChainNames::SIGNATURE.chain, documents.chain.as_slice())],
        &required,
        |asked, algorithm| {
            let index = uris.iter().position(|uri| uri == asked)?;
            Some(algorithm.digest(parts[index].as_bytes()))
        },
    )
}

fn uri(index: usize) -> String {
    if index == 0 { "/message.xml".to_owned() } else { format!("/attachment{index}") }
}

fn build(messages: &[Vec<&str>]) -> Vec<ChainDocuments> {
    let digests = messages.iter().map(|parts| parts.iter().map(|part| digest(part)).collect()).collect();
    HashChains::new(ChainNames::SIGNATURE, digests).unwrap().documents().collect()
}

#[track_caller]
fn refuses(result: Result<Vec<CoveredPart>, HashChainError>, code: &str, xroad_code: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), format!("hash_chain.{code}"), "{error}");
    assert_eq!(error.xroad_code(), xroad_code);
}

/// A chain of two parts, with `from` in its only step become `to`.
#[track_caller]
fn refuses_changed(from: &str, to: &str, code: &str, xroad_code: &str) {
    let mut chains = build(&[vec!["message", "body"]]);
    let sound = String::from_utf8(chains[0].chain.clone()).unwrap();
    assert!(sound.contains(from), "{sound}");
    chains[0].chain = sound.replacen(from, to, 1).into_bytes();
    refuses(verify(&chains[0], &["message", "body"]), code, xroad_code);
}

#[test]
fn every_message_of_every_batch_finds_its_way() {
    for count in 1..=17 {
        let names: Vec<String> = (0..count).map(|index| format!("message {index}")).collect();
        let messages: Vec<Vec<&str>> = names
            .iter()
            .enumerate()
            .map(|(index, name)| match index % 3 {
                0 => vec![name.as_str()],
                _ => vec![name.as_str(), "body"],
            })
            .collect();
        let chains = build(&messages);
        for (index, parts) in messages.iter().enumerate() {
            let covered = verify(&chains[index], parts).unwrap();
            assert_eq!(covered.len(), parts.len(), "{index} of {count}");
        }
    }
}

#[test]
fn carries_what_has_no_neighbour_up_unhashed() {
    let leaves: Vec<Digest> = ["a", "b", "c", "d", "e"].map(digest).to_vec();
    let pair = |left: &Digest, right: &Digest| step_value(ALGORITHM, &[left.clone(), right.clone()]);
    let four = pair(&pair(&leaves[0], &leaves[1]), &pair(&leaves[2], &leaves[3]));
    let expected = pair(&four, &leaves[4]);

    let chains = build(&[vec!["a"], vec!["b"], vec!["c"], vec!["d"], vec!["e"]]);
    assert!(ResultDocument::read(&chains[0].result).is_ok_and(|result| result.digest == expected));
    // The odd one is one step away from the result.
    let last = ChainDocument::read(&chains[4].chain).unwrap();
    assert_eq!(last.steps.len(), 1);
}

#[test]
fn builds_nothing_of_nothing() {
    assert!(HashChains::new(ChainNames::SIGNATURE, vec![]).is_none());
    assert!(HashChains::new(ChainNames::SIGNATURE, vec![vec![digest("a")], vec![]]).is_none());
}

#[test]
fn writes_long_lengths_as_der_does() {
    assert_eq!(der(0x04, &[7; 3]), [0x04, 3, 7, 7, 7]);
    assert_eq!(der(0x04, &[7; 0x80])[..3], [0x04, 0x81, 0x80]);
    assert_eq!(der(0x04, &[7; 0x0100])[..4], [0x04, 0x82, 0x01, 0x00]);
}

#[test]
fn says_which_parts_it_has_not_seen() {
    let chains = build(&[vec!["message", "body"]]);
    let covered = verify(&chains[0], &["message"]).unwrap();
    let seen: Vec<_> = covered.iter().map(|part| (part.uri.as_str(), part.seen)).collect();
    assert_eq!(seen, [("/message.xml", true), ("/attachment1", false)]);
}

#[test]
fn refuses_a_changed_part() {
    let chains = build(&[vec!["message", "body"]]);
    refuses(verify(&chains[0], &["message", "forged"]), "part_modified", "invalid_hash_chain_ref");
}

#[test]
fn refuses_a_part_it_does_not_cover() {
    let chains = build(&[vec!["message", "body"]]);
    refuses(verify(&chains[0], &["message", "body", "more"]), "part_not_covered", "hashchain_unused_inputs");
}

#[test]
fn refuses_the_chain_of_another_result() {
    let chains = build(&[vec!["message", "body"]]);
    let other = build(&[vec!["message", "other"]]);
    let mixed = ChainDocuments { result: other[0].result.clone(), chain: chains[0].chain.clone() };
    refuses(verify(&mixed, &["message", "body"]), "wrong_result", "invalid_hash_chain");
}

#[test]
fn refuses_a_part_dropped_from_the_chain() {
    let step_end = "        <ns2:DataRef URI=\"/attachment1\">";
    let other = "        <ns2:DataRef URI=\"/attachment2\">";
    refuses_changed(step_end, other, "part_not_covered", "hashchain_unused_inputs");
}

#[test]
fn refuses_a_step_that_is_not_there() {
    refuses_changed("id=\"STEP0\"", "id=\"STEP1\"", "missing_step", "malformed_hash_chain");
}

#[test]
fn refuses_a_step_in_an_unknown_document() {
    let steps = "<ns2:DataRef URI=\"/message.xml\">";
    let to = format!("<ns2:StepRef URI=\"/other.xml#STEP0\"/>{steps}");
    refuses_changed(steps, &to, "missing_step", "malformed_hash_chain");
}

#[test]
fn refuses_a_cycle() {
    let steps = "<ns2:DataRef URI=\"/message.xml\">";
    let to = format!("<ns2:StepRef URI=\"#STEP0\"/>{steps}");
    refuses_changed(steps, &to, "repeated_step", "malformed_hash_chain");
}

/// Each step names the next one twice: few bytes, endless work.
#[test]
fn refuses_steps_that_multiply() {
    let steps: String = (0..60)
        .map(|step| {
            let next = format!("<ns2:StepRef URI=\"#STEP{}\"/>", step + 1);
            format!("<ns2:HashStep id=\"STEP{step}\">{next}{next}</ns2:HashStep>")
        })
        .collect();
    let all = format!("{steps}<ns2:HashStep id=\"STEP60\"/></ns2:HashChain>");
    let mut chains = build(&[vec!["message"]]);
    let sound = String::from_utf8(chains[0].chain.clone()).unwrap();
    let start = sound.find("    <ns2:HashStep").unwrap();
    chains[0].chain = format!("{}{all}", &sound[..start]).into_bytes();
    refuses(verify(&chains[0], &["message"]), "repeated_step", "malformed_hash_chain");
}

#[test]
fn refuses_what_is_too_deep() {
    let steps: String = (0..100)
        .map(|step| {
            let next = format!("<ns2:StepRef URI=\"#STEP{}\"/>", step + 1);
            format!("<ns2:HashStep id=\"STEP{step}\">{next}</ns2:HashStep>")
        })
        .collect();
    let mut chains = build(&[vec!["message"]]);
    let sound = String::from_utf8(chains[0].chain.clone()).unwrap();
    let start = sound.find("    <ns2:HashStep").unwrap();
    chains[0].chain = format!("{}{steps}</ns2:HashChain>", &sound[..start]).into_bytes();
    refuses(verify(&chains[0], &["message"]), "too_deep", "malformed_hash_chain");
}

#[test]
fn refuses_an_unknown_value() {
    refuses_changed("</ns2:HashStep>", "<ns2:Other/></ns2:HashStep>", "malformed", "malformed_hash_chain");
}

#[test]
fn refuses_a_weak_digest() {
    let from = "xmlenc#sha512";
    refuses_changed(from, "xmldsig-more#md5", "malformed", "malformed_hash_chain");
}

#[test]
fn refuses_a_digest_that_is_too_short() {
    refuses_changed("<DigestValue>", "<DigestValue>AAAA", "malformed", "malformed_hash_chain");
}

#[test]
fn refuses_a_document_type() {
    refuses_changed("<ns2:HashChain ", "<!DOCTYPE a><ns2:HashChain ", "malformed", "malformed_hash_chain");
}

#[test]
fn refuses_a_result_in_the_place_of_a_chain() {
    let mut chains = build(&[vec!["message"]]);
    chains[0].chain = chains[0].result.clone();
    refuses(verify(&chains[0], &["message"]), "malformed", "malformed_hash_chain");
    chains[0].chain = Vec::new();
    refuses(verify(&chains[0], &["message"]), "malformed", "malformed_hash_chain");
}
