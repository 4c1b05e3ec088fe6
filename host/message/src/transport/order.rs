//! The order of the parts.

use super::*;

/// What may come next, and what has come.
pub(super) struct Order {
    direction: Direction,
    kind: MessageKind,
    next: Next,
    has_message: bool,
    has_signature: bool,
    has_fault: bool,
}

/// The first part that may come next; others after it may be left out, down to the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Message,
    Body,
    HashChainResult,
    HashChain,
    Signature,
    Nothing,
}

impl Order {
    pub(super) fn new(direction: Direction, kind: MessageKind) -> Self {
        Self {
            direction,
            kind,
            next: Next::Message,
            has_message: false,
            has_signature: false,
            has_fault: false,
        }
    }

    /// Which part one of this media type is, at this place.
    pub(super) fn place(&mut self, media_type: Option<&MediaType>) -> Result<Place, TransportError> {
        use Direction::{Request, Response};
        use MessageKind::{Rest, Soap};
        let essence = media_type.map_or("", |media_type| media_type.essence.as_str());
        let (place, next) = match (self.next, essence) {
            (Next::Nothing, _) => return Err(TransportError::ExtraContent { found: shown(essence) }),
            (Next::Message, _) => match (essence, self.direction, self.kind) {
                (OCSP_RESPONSE, Request, _) => (Place::OcspResponse, Next::Message),
                (REST_REQUEST, Request, Rest) => (Place::RestRequest, Next::Body),
                (REST_RESPONSE, Response, Rest) => (Place::RestResponse, Next::Body),
                (REST_REQUEST | REST_RESPONSE, _, Soap) => return Err(TransportError::MissingSoap),
                _ if media_type.is_some_and(is_soap) => (Place::Envelope, Next::Body),
                _ => {
                    let expected = match self.kind {
                        Rest => "a REST message",
                        Soap => "a SOAP message",
                    };
                    return Err(TransportError::UnexpectedPart { found: shown(essence), expected });
                }
            },
            (Next::Body, REST_BODY) if self.kind == Rest => (Place::RestBody, Next::HashChainResult),
            (Next::Body, MULTIPART_MIXED) if self.kind == Soap => (Place::Attachments, Next::HashChainResult),
            (Next::Body | Next::HashChainResult, HASH_CHAIN_RESULT) => {
                (Place::HashChainResult, Next::HashChain)
            }
            (Next::HashChain, HASH_CHAIN) => (Place::HashChain, Next::Signature),
            // A result without its chain proves nothing.
            (Next::Body | Next::HashChainResult | Next::Signature, SIGNATURE) => {
                (Place::Signature, Next::Nothing)
            }
            (_, TEXT_XML) => (Place::Fault, Next::Nothing),
            (next, _) => {
                let expected = if next == Next::HashChain { HASH_CHAIN } else { SIGNATURE };
                return Err(TransportError::UnexpectedPart { found: shown(essence), expected });
            }
        };
        self.next = next;
        Ok(place)
    }

    /// Notes what a part turned out to be.
    pub(super) fn saw(&mut self, event: &TransportEvent) {
        match event {
            TransportEvent::RestRequest(_) | TransportEvent::RestResponse(_) | TransportEvent::Soap(..) => {
                self.has_message = true;
            }
            TransportEvent::Signature(_) => self.has_signature = true,
            TransportEvent::Fault(_) => self.has_fault = true,
            _ => {}
        }
    }

    /// Whether the message may end here. After a fault nothing else is asked for.
    pub(super) fn check_complete(&self) -> Result<(), TransportError> {
        match (self.kind, self.has_message) {
            _ if self.has_fault => Ok(()),
            (MessageKind::Rest, false) => Err(TransportError::MissingRest),
            (MessageKind::Soap, false) => Err(TransportError::MissingSoap),
            _ if !self.has_signature => Err(TransportError::MissingSignature),
            _ => Ok(()),
        }
    }
}

/// A media type from a stranger, made fit to be shown.
fn shown(essence: &str) -> String {
    const SHOWN_CHARACTERS_MAX: usize = 64;
    format!("{:?}", essence.chars().take(SHOWN_CHARACTERS_MAX).collect::<String>())
}
