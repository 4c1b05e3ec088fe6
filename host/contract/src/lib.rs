//! Service contracts: operations read from OpenAPI or WSDL, calls turned into documents and checked.
//!
//! A [`Contract`] is read once from an OpenAPI 3.0 or 3.1 document or a WSDL 1.1, with every path and schema compiled. From
//! then on [`Contract::document`] turns a REST call into the one JSON [`Document`] an adapter receives, and
//! [`Operation::answer`] and [`Operation::fault`] check what the adapter says before it leaves. A `Document`
//! or an [`Answer`] exists only if it fits the contract. Start reading at [`Contract::document`].
//!
//! This crate knows nothing of HTTP libraries, adapters or who may call what; it neither reads files nor tells
//! the time.
//!
//! # The request document
//!
//! One JSON object. Each declared path, query and header parameter is a member under its own name, typed by its
//! schema; a JSON body is the member `body`. Defaults are not filled in: the document holds what the client
//! sent, and numbers and the body keep their exact text. An integer is written as an integer, `1` and not
//! `1.0`, and fits 64 bits.
//!
//! Nothing is guessed at. Refused are unknown and repeated parameters, members given twice, paths with empty,
//! dot or encoded-slash segments, media types other than `application/json`, content encodings, and whatever
//! exceeds the [`Limits`]. A `+` in a query is a plus (RFC 3986), a space is `%20`. Headers that are not
//! declared are no parameters and pass unseen.
//!
//! # SOAP
//!
//! [`Contract::soap_document`] turns the body of a SOAP message into the same document, and [`Contract::soap_answer`] a
//! checked answer into the body of a response. A contract given as OpenAPI gets a WSDL, one given as WSDL an OpenAPI
//! document, whose operations are POSTs of `body`. How values of XML are told in JSON is said in `xsd.rs`; start there,
//! then read `wsdl.rs`. In an OpenAPI contract, `x-namespace` in `info` names the namespace of its elements, `x-titles`
//! gives an operation or field its titles by language, and `x-xsd` a text its type of XML Schema, such as
//! `{type: decimal}`. Objects may not have members of any name, nor values several types, or SOAP cannot call the
//! operation; [`Contract::soap_form`] says what is in the way.
//!
//! # What of OpenAPI is used
//!
//! - **Checked**: `paths`, `operationId` (required), parameters in path, query and header, `requestBody`,
//!   `responses`, schemas with local references under `#/components/schemas`. The formats of JSON Schema are
//!   asserted (`date`, `date-time`, `time`, `duration`, `email`, `hostname`, `ipv4`, `ipv6`, `uri`,
//!   `uri-reference`, `uuid`, `regex`, `json-pointer` and their kin), `int32` is a bound; other formats are
//!   annotations. Patterns run in linear time and so have neither look-around nor back-references.
//! - **Ignored**: `servers`, `security` and security schemes, `tags`, `webhooks`, `links`, response headers,
//!   `encoding`, examples, `deprecated`, `discriminator`, `readOnly`, `writeOnly`, `xml`, `contentEncoding` and
//!   `contentMediaType`, extensions (`x-…`), header parameters called `Accept`, `Content-Type` or
//!   `Authorization`, and every response of 2xx but the first.
//! - **Refused**, each with its own [`ContractError`]: callbacks, the method `TRACE`, cookies, parameters with
//!   `content`, `allowReserved` or `allowEmptyValue`, styles other than `form` and `simple`, objects and mixed
//!   types as parameters, lists outside the query, bodies other than JSON (forms and multipart among them),
//!   error responses with content other than `application/problem+json`, external references, misspelt fields
//!   and keywords, `$id`, `$anchor`, `$dynamicRef`, and paths that fit the same request.

mod answer;
mod check;
mod contract;
mod document;
mod json;
mod limits;
mod media_type;
mod openapi;
mod operation;
pub mod percent;
mod posted;
mod problem;
mod refusal;
mod routes;
mod soap;
mod wsdl;
mod xml;
mod xsd;

pub use answer::{Answer, AnswerProblem};
pub use contract::Contract;
pub use document::{Document, RestCall};
pub use limits::Limits;
pub use openapi::{ContractError, parse as parse_openapi};
pub use operation::{
    Body, Method, Operation, Parameter, ParameterKind, Place, QueryList, Semantics, StatusPattern,
};
pub use posted::ComposedCall;
pub use problem::{FieldProblem, PROBLEM_MEDIA_TYPE, Problem};
pub use refusal::{Refusal, RequestPart};
pub use soap::{OutlineContent, OutlineElement, SoapCall, SoapOutline};
pub use wsdl::WsdlError;
pub use xsd::from_json::NotInXml;
