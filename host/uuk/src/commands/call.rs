//! `uuk call`: a request to a security server, as an information system of a client would send it.

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use uuk_globalconf::Catalog;
use uuk_identifiers::{ClientId, ServiceId};
use uuk_transport::{ClientAuthentication, IdentityFiles, Upstream, UpstreamConfig};

use super::explain;
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// As long as a security server takes for a request by default, and a little more for the way.
const CALL_TIME_MAX: Duration = Duration::from_secs(35);
const BODY_BYTES_MAX: u64 = 16 << 20;
/// Of an answer that is not ours to understand, this much is shown.
const EXCERPT_CHARS_MAX: usize = 200;

/// Call a service of a security server
///
/// Prints the answer's body. Ends with 0 if the service answered, 1 if it refused the request or found nothing, 4 if
/// the client may not call it, and 5 if there was no answer.
#[derive(Debug, clap::Args)]
pub(crate) struct CallArguments {
    /// KG/GOV/70000001/registry/person, or `person` alone where the catalog of --config has it once; with --op, the version
    /// of a SOAP service may follow: KG/GOV/70000001/registry/getPerson/v1
    service: String,
    /// Path below the service, with its query: '/people?surname=Asanova'
    #[arg(required_unless_present = "operation", conflicts_with = "operation")]
    path: Option<String>,
    /// Operation to call instead, REST or SOAP: --data is its request document, or its body if it has no parameters
    #[arg(long = "op", value_name = "OPERATION", conflicts_with = "method")]
    operation: Option<String>,
    /// The calling subsystem: KG/GOV/70000002/portal
    #[arg(long = "as", value_name = "CLIENT")]
    client: ClientId,
    /// What the call is for: the number of a case or document. Services that give out personal data ask for it
    #[arg(long, value_name = "NUMBER")]
    issue: Option<HeaderValue>,
    /// HTTP method [default: GET, or POST with --data]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<Method>,
    /// Body: JSON, @FILE, or @- for standard input
    #[arg(short, long, value_name = "JSON")]
    data: Option<String>,
    /// Base address of the security server [default: that of --config]
    #[arg(long)]
    url: Option<String>,
    /// Configuration of a security server on this machine
    #[arg(short, long, default_value = "uuk.toml")]
    config: PathBuf,
    #[command(flatten)]
    tls: TlsOptions,
}

#[derive(Debug, clap::Args)]
struct TlsOptions {
    /// Authorities that vouch for the server, in PEM
    #[arg(long, value_name = "FILE")]
    authorities: Option<PathBuf>,
    /// Certificate to show the server, in PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

pub(crate) fn run(arguments: &CallArguments, terminal: &Terminal) -> Result<(), Failure> {
    let upstream = Upstream::build(&server(arguments)?)
        .map_err(|error| Failure::new(ExitCode::Usage, error.code(), &error).causes(&error))?;
    let request = request(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(ExitCode::Environment, "serve.runtime", "cannot start the runtime").note(error)
    })?;
    let started = Instant::now();
    let response = runtime
        .block_on(upstream.send(request, started + CALL_TIME_MAX, BODY_BYTES_MAX))
        .map_err(|error| Failure::new(ExitCode::Remote, "call.unreachable", &error).causes(&error))?;
    if !response.status().is_success() {
        return Err(refusal(&response));
    }
    let took_ms = started.elapsed().as_millis();
    let status = response.status();
    terminal.step("answered", format_args!("{status} in {took_ms} ms"));
    let body = response.body();
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let text = match &json {
        Some(json) => format!("{json:#}"),
        None => String::from_utf8_lossy(body).into_owned(),
    };
    terminal.result(
        "uuk.cli/call/v1",
        &serde_json::json!({ "status": status.as_u16(), "duration_ms": took_ms as u64, "body": json }),
        text,
    );
    Ok(())
}

/// How the server is reached.
fn server(arguments: &CallArguments) -> Result<UpstreamConfig, Failure> {
    let base = match &arguments.url {
        Some(url) => url.clone(),
        None => {
            let listener = config(arguments)?.listener;
            if listener.authentication != ClientAuthentication::None || listener.address.port() == 0 {
                let message = "the configuration does not say by which address the server is called";
                return Err(Failure::new(ExitCode::Usage, "call.no_address", message)
                    .help("name it with --url https://NAME:PORT and --authorities FILE"));
            }
            format!("http://{}", listener.address)
        }
    };
    let TlsOptions { authorities, certificate, key } = &arguments.tls;
    let identity = certificate.clone().zip(key.clone());
    Ok(UpstreamConfig {
        authorities: authorities.clone(),
        identity: identity.map(|(certificate, key)| IdentityFiles { certificate, key }),
        // Whoever types an address means it, wherever its name leads.
        networks: ["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok()).collect(),
        ..UpstreamConfig::new(base)
    })
}

fn request(arguments: &CallArguments) -> Result<Request<Bytes>, Failure> {
    let body = arguments.data.as_deref().map(read_body).transpose()?;
    let (method, uri) = match &arguments.operation {
        Some(operation) => (Method::POST, format!("/json/{}/{}", versioned(arguments)?, encoded(operation))),
        None => {
            let method = if body.is_some() { Method::POST } else { Method::GET };
            let path = arguments.path.as_deref().unwrap_or_default();
            let slash = if path.starts_with('/') { "" } else { "/" };
            let uri = format!("/r1/{}{slash}{}", service(arguments, &arguments.service)?, encoded(path));
            (arguments.method.clone().unwrap_or(method), uri)
        }
    };
    let mut request = Request::builder()
        .method(method)
        .uri(&uri)
        .header("x-road-client", arguments.client.to_string())
        .header(header::ACCEPT, "application/json");
    if let Some(issue) = &arguments.issue {
        request = request.header("x-road-issue", issue);
    }
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    request.body(body.unwrap_or_default()).map_err(|error| {
        let message = format!("`{uri}` cannot be an address");
        Failure::new(ExitCode::Usage, "upstream.request", message).note(error)
    })
}

/// The service in full, with the version that may follow it.
fn versioned(arguments: &CallArguments) -> Result<String, Failure> {
    let named = &arguments.service;
    match named.match_indices('/').nth(4).and_then(|(end, _)| named.split_at_checked(end)) {
        Some((service, version)) => Ok(format!("{}{}", self::service(arguments, service)?, encoded(version))),
        None => Ok(service(arguments, named)?.to_string()),
    }
}

/// The service in full; a code alone is looked up in the catalog.
fn service(arguments: &CallArguments, named: &str) -> Result<ServiceId, Failure> {
    if let Ok(service) = named.parse() {
        return Ok(service);
    }
    let unknown = |message: String| Failure::new(ExitCode::Usage, "call.service", message);
    if named.contains('/') {
        return Err(unknown(format!("`{named}` is not INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE")));
    }
    let path = config(arguments)?.files.catalog;
    let unreadable =
        |reason: &dyn std::fmt::Display| unknown(format!("cannot read {}", path.display())).note(reason);
    let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&error))?;
    let catalog = Catalog::parse(&text).map_err(|error| unreadable(&error))?;
    let mut fitting: Vec<ServiceId> =
        catalog.services().map(|entry| entry.id.clone()).filter(|id| id.code == named).collect();
    match (fitting.pop(), fitting.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(unknown(format!("the catalog has no service `{named}`"))),
        (Some(_), others) => {
            Err(unknown(format!("the catalog has {} services `{named}`", others + 1)).help("name it in full"))
        }
    }
}

fn config(arguments: &CallArguments) -> Result<Config, Failure> {
    Config::load(&arguments.config).map_err(|error| {
        Failure::new(ExitCode::Usage, "config.invalid", &error)
            .causes(&error)
            .help("name the server's configuration with --config, or its address with --url")
    })
}

fn read_body(data: &str) -> Result<Bytes, Failure> {
    let unreadable = |reason: &dyn std::fmt::Display| {
        Failure::new(ExitCode::Usage, "call.body", "the body is not readable").note(reason)
    };
    let text = match data.strip_prefix('@') {
        None => data.to_owned(),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin()
                .take(BODY_BYTES_MAX)
                .read_to_string(&mut text)
                .map_err(|error| unreadable(&error))?;
            text
        }
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| unreadable(&format_args!("{file}: {error}")))?
        }
    };
    Ok(text.into())
}

/// A path and query as people type them: what an address cannot hold is percent-encoded, what is encoded stays so.
fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' if !b"\"<>\\^`{|}".contains(&byte) => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// RFC 9457, as security servers send it.
#[derive(Deserialize)]
struct Problem {
    detail: String,
    code: String,
    #[serde(default)]
    problems: Vec<FieldProblem>,
}

#[derive(Deserialize)]
struct FieldProblem {
    pointer: String,
    message: String,
}

/// Why there is no answer to print, in the house's style.
fn refusal(response: &Response<Bytes>) -> Failure {
    let status = response.status();
    let exit_code = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ExitCode::Refused,
        status if status.is_client_error() => ExitCode::CheckFailed,
        _ => ExitCode::Remote,
    };
    let failure = match serde_json::from_slice::<Problem>(response.body()) {
        Ok(problem) => {
            // Codes that are not ours are the service's own, and its contract explains them.
            let is_ours = explain::explanation(&problem.code).is_some();
            let code = if is_ours { problem.code.as_str() } else { "call.fault" };
            let mut failure = Failure::new(exit_code, code, &problem.detail);
            if !is_ours {
                failure = failure.note(format_args!("code {}", problem.code));
            }
            let fields = problem.problems.iter();
            fields.fold(failure, |failure, field| {
                failure.note(format_args!("{} {}", field.pointer, field.message))
            })
        }
        Err(_) => {
            let text = String::from_utf8_lossy(response.body());
            let excerpt: String = text.chars().filter(|c| !c.is_control()).take(EXCERPT_CHARS_MAX).collect();
            let failure =
                Failure::new(exit_code, "call.http", "the server answered outside the message protocol");
            if excerpt.is_empty() { failure } else { failure.note(excerpt) }
        }
    };
    let failure = failure.note(format_args!("answered {status}"));
    match response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()) {
        Some(seconds) => failure.help(format_args!("try again in {seconds} s")),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_an_address_cannot_hold_and_nothing_twice() {
        assert_eq!(
            encoded("/people?surname=Аса&name=a%20b c"),
            "/people?surname=%D0%90%D1%81%D0%B0&name=a%20b%20c"
        );
    }

    fn answered(status: u16, body: &str) -> Failure {
        refusal(&Response::builder().status(status).body(body.to_owned().into()).unwrap())
    }

    #[test]
    fn the_exit_code_tells_policy_from_request_and_remote() {
        let problem = r#"{"detail":"d","code":"proxy.access_denied"}"#;
        assert_eq!(answered(403, problem).exit_code(), ExitCode::Refused);
        assert_eq!(answered(400, problem).exit_code(), ExitCode::CheckFailed);
        assert_eq!(answered(503, problem).exit_code(), ExitCode::Remote);
        assert_eq!(answered(502, "<html>").exit_code(), ExitCode::Remote);
    }
}
