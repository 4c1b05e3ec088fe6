//! Containers of messages: what the message log hands out as evidence of one message.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use uuk_pki::DigestAlgorithm;

use crate::container::{Container, ContainerError, Entry, Profile};
use crate::entry_name::EntryName;
use crate::manifest::opendocument_manifest;
use crate::message_signature::{ChainDocuments, SignatureDocuments};
use crate::time_stamp::DetachedTimeStamp;

const MESSAGE: &str = "message.xml";
const SIGNATURES: &str = "META-INF/signatures.xml";
const RESULT: &str = "sig-hashchainresult.xml";
const CHAIN: &str = "sig-hashchain.xml";
const STAMPED_RESULT: &str = "ts-hashchainresult.xml";
const STAMPED_CHAIN: &str = "ts-hashchain.xml";
const MANIFEST: &str = "META-INF/manifest.xml";
const STAMP_MANIFEST: &str = "META-INF/ASiCManifest.xml";
const TOKEN: &str = "META-INF/timestamp.tst";

/// A message with its signature and time-stamp; nothing is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageContainer {
    /// SOAP: the envelope. REST: the part with request or status line and headers.
    pub message: Arc<[u8]>,
    /// The signature.
    pub signature: SignatureDocuments,
    /// The time-stamp, unless it is inside the signature.
    pub time_stamp: Option<DetachedTimeStamp>,
    /// SOAP attachments by number, from one; of a REST message, the body is the first. Some or all may be missing:
    /// the message log need not keep them.
    pub attachments: BTreeMap<u16, Arc<[u8]>>,
    /// Entries that mean nothing here. No signature covers them.
    pub others: Vec<EntryName>,
}

impl MessageContainer {
    /// Reads a container.
    ///
    /// # Errors
    /// As [`ContainerError`] says; [`ContainerError::MissingEntry`] also if one document of a hash chain is there
    /// without the other.
    pub fn read(bytes: &[u8]) -> Result<Self, ContainerError> {
        let container = Container::read(bytes, &Profile::message())?;
        let mut entries: BTreeMap<EntryName, Arc<[u8]>> =
            container.entries().iter().map(|entry| (entry.name.clone(), Arc::clone(&entry.bytes))).collect();
        let mut signatures = container.entries().iter().filter(|entry| is_signature(&entry.name));
        let signature = signatures.next().ok_or(ContainerError::MissingEntry { what: SIGNATURES })?;
        if let Some(second) = signatures.next() {
            // Which of them would be meant?
            return Err(ContainerError::UnexpectedEntry { name: second.name.clone() });
        }
        entries.remove(&signature.name);

        let mut take = |what: &'static str| -> Result<Option<Arc<[u8]>>, ContainerError> {
            Ok(entries.remove(&EntryName::new(what)?))
        };
        let message = take(MESSAGE)?.ok_or(ContainerError::MissingEntry { what: MESSAGE })?;
        let hash_chain = chain((RESULT, take(RESULT)?), (CHAIN, take(CHAIN)?))?;
        let stamped = chain((STAMPED_RESULT, take(STAMPED_RESULT)?), (STAMPED_CHAIN, take(STAMPED_CHAIN)?))?;
        let time_stamp = match (stamped, take(TOKEN)?) {
            (None, None) => None,
            (Some(_), None) => return Err(ContainerError::MissingEntry { what: TOKEN }),
            (hash_chain, Some(token)) => Some(DetachedTimeStamp { token: token.to_vec(), hash_chain }),
        };
        for generated in ["mimetype", MANIFEST, STAMP_MANIFEST] {
            take(generated)?;
        }

        let mut attachments = BTreeMap::new();
        let mut others = Vec::new();
        for (name, bytes) in entries {
            match attachment_number(&name) {
                Some(number) => _ = attachments.insert(number, bytes),
                None => others.push(name),
            }
        }
        let signature =
            SignatureDocuments { signatures: Bytes::copy_from_slice(&signature.bytes), hash_chain };
        Ok(Self { message, signature, time_stamp, attachments, others })
    }

    /// Writes a container, with the entries in X-Road's order and the manifests that go with them; the same content
    /// gives the same bytes. Entries that mean nothing are left out.
    ///
    /// # Errors
    /// None in practice: the names are all known and distinct.
    pub fn write(&self) -> Result<Vec<u8>, ContainerError> {
        let chain = self.signature.hash_chain.as_ref();
        let stamped = self.time_stamp.as_ref().and_then(|stamp| stamp.hash_chain.as_ref());
        let covered = [
            (MESSAGE, Some(&*self.message)),
            (SIGNATURES, Some(&*self.signature.signatures)),
            (RESULT, chain.map(|chain| chain.result.as_slice())),
            (CHAIN, chain.map(|chain| chain.chain.as_slice())),
            (STAMPED_RESULT, stamped.map(|chain| chain.result.as_slice())),
            (STAMPED_CHAIN, stamped.map(|chain| chain.chain.as_slice())),
        ];
        let mut entries = covered
            .into_iter()
            .filter_map(|(name, bytes)| Some(entry(name, bytes?)))
            .collect::<Result<Vec<_>, _>>()?;
        let attachments = self
            .attachments
            .iter()
            .map(|(number, bytes)| entry(&format!("attachment{number}"), bytes))
            .collect::<Result<Vec<_>, _>>()?;

        let parts =
            entries.iter().filter(|entry| !entry.name.is_meta()).map(|entry| (&entry.name, "text/xml"));
        let bodies = attachments.iter().map(|entry| (&entry.name, "application/octet-stream"));
        let manifest = opendocument_manifest(parts.chain(bodies));
        entries.push(entry(MANIFEST, manifest.as_bytes())?);
        if let Some(chain) = stamped {
            entries.push(entry(STAMP_MANIFEST, stamp_manifest(&chain.result).as_bytes())?);
        }
        if let Some(stamp) = &self.time_stamp {
            entries.push(entry(TOKEN, &stamp.token)?);
        }
        entries.extend(attachments);
        Ok(Container::new(entries)?.write_as(&Profile::message()))
    }
}

fn entry(name: &str, bytes: &[u8]) -> Result<Entry, ContainerError> {
    Ok(Entry { name: EntryName::new(name)?, bytes: Arc::from(bytes) })
}

/// Both documents of a hash chain, or neither.
fn chain(
    result: (&'static str, Option<Arc<[u8]>>),
    chain: (&'static str, Option<Arc<[u8]>>),
) -> Result<Option<ChainDocuments>, ContainerError> {
    match (result.1, chain.1) {
        (None, None) => Ok(None),
        (Some(result), Some(chain)) => {
            Ok(Some(ChainDocuments { result: result.to_vec(), chain: chain.to_vec() }))
        }
        (None, Some(_)) => Err(ContainerError::MissingEntry { what: result.0 }),
        (Some(_), None) => Err(ContainerError::MissingEntry { what: chain.0 }),
    }
}

/// Whether an entry may hold the signature.
pub(crate) fn is_signature(name: &EntryName) -> bool {
    name.as_str()
        .strip_prefix("META-INF/")
        .and_then(|file| file.strip_suffix(".xml"))
        .is_some_and(|stem| stem.contains("signatures"))
}

fn attachment_number(name: &EntryName) -> Option<u16> {
    let number: u16 = name.as_str().strip_prefix("attachment")?.parse().ok()?;
    (number > 0 && name.as_str() == format!("attachment{number}")).then_some(number)
}

/// What the time-stamp covers. The namespace lacks a zero that the standard has: X-Road's own spelling.
fn stamp_manifest(result: &[u8]) -> String {
    format!(
        concat!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n",
            "<asic:ASiCManifest xmlns:asic=\"http://uri.etsi.org/2918/v1.2.1#\" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\n",
            "<asic:SigReference URI=\"META-INF/timestamp.tst\" MimeType=\"vnd.etsi.timestamp-token\"/>\n",
            "<asic:DataObjectReference URI=\"ts-hashchainresult.xml\" MimeType=\"text/xml\">\n",
            "<ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha512\" />\n",
            "<ds:DigestValue>{digest}</ds:DigestValue>\n",
            "</asic:DataObjectReference>\n",
            "</asic:ASiCManifest>",
        ),
        digest = BASE64.encode(DigestAlgorithm::Sha512.digest(result).as_bytes()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain_documents(name: &str) -> ChainDocuments {
        ChainDocuments {
            result: format!("<{name}-result/>").into_bytes(),
            chain: format!("<{name}/>").into_bytes(),
        }
    }

    fn container() -> MessageContainer {
        MessageContainer {
            message: Arc::from(&b"<message/>"[..]),
            signature: SignatureDocuments {
                signatures: "<signatures/>".into(),
                hash_chain: Some(chain_documents("sig")),
            },
            time_stamp: Some(DetachedTimeStamp {
                token: vec![0x30, 0],
                hash_chain: Some(chain_documents("ts")),
            }),
            attachments: BTreeMap::from([(1, Arc::from(&b"one"[..])), (2, Arc::from(&b"two"[..]))]),
            others: Vec::new(),
        }
    }

    /// The container without the entry called `name`.
    fn without(name: &str) -> Vec<u8> {
        let entries = Container::read(&container().write().unwrap(), &Profile::message()).unwrap();
        let rest =
            entries.entries().iter().filter(|entry| ![name, "mimetype"].contains(&entry.name.as_str()));
        Container::new(rest.cloned()).unwrap().write()
    }

    fn with(name: &str) -> Vec<u8> {
        let entries = Container::read(&container().write().unwrap(), &Profile::message()).unwrap();
        let all = entries.entries().iter().filter(|entry| entry.name.as_str() != "mimetype").cloned();
        Container::new(all.chain([entry(name, b"more").unwrap()])).unwrap().write()
    }

    #[test]
    fn reads_what_it_writes() {
        let full = container();
        let alone = MessageContainer {
            signature: SignatureDocuments { hash_chain: None, ..full.signature.clone() },
            time_stamp: None,
            attachments: BTreeMap::new(),
            ..full.clone()
        };
        let mut without_chain = full.clone();
        without_chain.time_stamp.as_mut().unwrap().hash_chain = None;
        for container in [full, alone, without_chain] {
            assert_eq!(MessageContainer::read(&container.write().unwrap()).unwrap(), container);
        }
    }

    #[test]
    fn writes_entries_in_xroads_order() {
        let bytes = container().write().unwrap();
        let entries = Container::read(&bytes, &Profile::message()).unwrap();
        let names: Vec<_> = entries.entries().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "mimetype",
                "message.xml",
                "META-INF/signatures.xml",
                "sig-hashchainresult.xml",
                "sig-hashchain.xml",
                "ts-hashchainresult.xml",
                "ts-hashchain.xml",
                "META-INF/manifest.xml",
                "META-INF/ASiCManifest.xml",
                "META-INF/timestamp.tst",
                "attachment1",
                "attachment2",
            ]
        );
        assert!(bytes.ends_with(b"mimetype=application/vnd.etsi.asic-e+zip"));
    }

    #[test]
    fn lists_the_entries_in_the_manifest() {
        let bytes = container().write().unwrap();
        let entries = Container::read(&bytes, &Profile::message()).unwrap();
        let manifest = String::from_utf8(entries.entry(MANIFEST).unwrap().to_vec()).unwrap();
        assert!(manifest.contains("media-type=\"text/xml\" manifest:full-path=\"ts-hashchain.xml\""));
        assert!(
            manifest.contains("media-type=\"application/octet-stream\" manifest:full-path=\"attachment2\"")
        );
        assert!(!manifest.contains("META-INF"));
    }

    #[test]
    fn names_the_missing_entry() {
        for (name, code) in [
            (MESSAGE, "asic_message_not_found"),
            (SIGNATURES, "asic_signature_not_found"),
            (RESULT, "asic_hash_chain_result_not_found"),
            (CHAIN, "asic_hash_chain_not_found"),
            (STAMPED_RESULT, "asic_hash_chain_result_not_found"),
            (STAMPED_CHAIN, "asic_hash_chain_not_found"),
            (TOKEN, "asic_timestamp_not_found"),
        ] {
            let error = MessageContainer::read(&without(name)).unwrap_err();
            assert!(matches!(error, ContainerError::MissingEntry { what } if what == name), "{error}");
            assert_eq!(error.xroad_code(), Some(code));
        }
    }

    #[test]
    fn refuses_a_second_signature() {
        let error = MessageContainer::read(&with("META-INF/signatures-2.xml")).unwrap_err();
        assert!(matches!(error, ContainerError::UnexpectedEntry { .. }), "{error}");
    }

    #[test]
    fn names_entries_that_mean_nothing() {
        for name in ["attachment0", "attachment01", "attachment70000", "message2.xml", "META-INF/other.xml"] {
            let read = MessageContainer::read(&with(name)).unwrap();
            assert_eq!(read.others.iter().map(EntryName::as_str).collect::<Vec<_>>(), [name]);
            assert_eq!(read.attachments.len(), 2);
        }
    }
}
