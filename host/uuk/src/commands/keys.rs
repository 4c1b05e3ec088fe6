//! `uuk keys …`: the keys of a running server, its certificates, and the requests for them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{IsTerminal, Read, Write as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use der::pem::LineEnding;
use serde::Deserialize;
use serde_json::json;
use uuk_globalconf::from_toml;
use uuk_identifiers::MemberId;
use uuk_pki::{Certificate, CertificateUse, Sha256};
use uuk_signer::{
    CertificateSummary, Control, ControlError, KeyAlgorithm, KeyId, KeySummary, Order, Outcome, Pin,
    SignerConfig, TokenSummary,
};

use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Certificate files are a few kilobytes.
const CERTIFICATE_BYTES_MAX: u64 = 512 << 10;
const PIN_BYTES_MAX: u64 = 4096;
/// A shorter beginning of a name could be anyone's.
const PREFIX_DIGITS_MIN: usize = 6;

/// Keys and certificates of a running server
#[derive(Debug, clap::Args)]
pub(crate) struct KeysArguments {
    /// Configuration of the server
    #[arg(short, long, global = true, default_value = "uuk.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Tokens, keys and certificates, and what keeps them from being used
    List,
    /// Open a token with its PIN; a software token without keys takes the PIN as its own
    Login {
        /// The token, as the configuration names it
        token: String,
        #[command(flatten)]
        pin: PinOptions,
    },
    /// Make a key inside a token
    Generate {
        /// The token, as the configuration names it
        #[arg(long, default_value = "software")]
        token: String,
        /// What the key is for
        #[arg(long = "for", value_name = "USE")]
        usage: Usage,
        /// p256, rsa2048, rsa3072 or rsa4096
        #[arg(long, default_value = "p256")]
        algorithm: KeyAlgorithm,
        /// A name for people
        #[arg(long, default_value = "")]
        label: String,
    },
    /// Make a certificate request, as the authority's profile wants it
    Request {
        /// The key, or how its name begins
        key: String,
        /// For whom a signing key signs: INSTANCE/CLASS/CODE
        #[arg(long)]
        member: Option<MemberId>,
        /// The approved authority that will get the request, if there are several
        #[arg(long)]
        authority: Option<String>,
        /// What the authority's profile leaves to you; may be given several times
        #[arg(long = "field", value_name = "NAME=VALUE", value_parser = field)]
        fields: Vec<(String, String)>,
        /// How to write it
        #[arg(long, default_value = "pem")]
        format: Format,
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Take in a certificate, PEM or DER, for a key that is here
    Import {
        /// The certificate
        file: PathBuf,
    },
    /// Let a certificate be used, in place of others for the same
    Activate(Named),
    /// Let a certificate no longer be used
    Deactivate(Named),
    /// Forget a certificate that is not active, or destroy a key that has no active one
    Delete {
        /// The certificate or key, or how its name begins, as `list` prints it
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Named {
    /// The certificate, or how its digest begins, as `list` prints it
    certificate: String,
}

/// A PIN is never read from the command line, where other users and the shell's history see it.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct PinOptions {
    /// File with the PIN in its first line [default: ask for it]
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// Read the PIN from standard input
    #[arg(long)]
    pin_stdin: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Usage {
    Signing,
    Authentication,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Pem,
    Der,
}

pub(crate) fn run(arguments: &KeysArguments, terminal: &Terminal) -> Result<(), Failure> {
    let server = Running::of(&arguments.config)?;
    match &arguments.command {
        KeysCommand::List => list(&server, terminal),
        KeysCommand::Login { token, pin } => {
            let new = server.tokens()?.iter().any(|one| one.name == *token && one.is_new());
            server.ask(&Order::Login { token: token.clone(), pin: pin.read(token, new)? })?;
            terminal.step("opened", token);
            Ok(())
        }
        KeysCommand::Generate { token, usage, algorithm, label } => {
            let usage = CertificateUse::from(*usage);
            let order =
                Order::Generate { token: token.clone(), label: label.clone(), usage, algorithm: *algorithm };
            let Outcome::Generated { key } = server.ask(&order)? else { return Err(unexpected()) };
            terminal.step("made", format_args!("a key for {usage}; next: uuk keys request"));
            terminal.result("uuk.cli/keys-generate/v1", &json!({ "key": key }), &key);
            Ok(())
        }
        KeysCommand::Request { key, member, authority, fields, format, output } => {
            let order = Order::Request {
                key: server.find_key(key)?,
                member: member.clone(),
                authority: authority.clone(),
                fields: BTreeMap::from_iter(fields.iter().cloned()),
            };
            let Outcome::Requested { request } = server.ask(&order)? else { return Err(unexpected()) };
            write_request(output, &request, *format)?;
            terminal.step("wrote", format_args!("{}; send it to the authority", output.display()));
            let bytes = request.len();
            terminal.result(
                "uuk.cli/keys-request/v1",
                &json!({ "file": output, "bytes": bytes }),
                output.display(),
            );
            Ok(())
        }
        KeysCommand::Import { file } => import(&server, file, terminal),
        KeysCommand::Activate(Named { certificate }) => {
            server.ask(&Order::Activate { certificate: server.find_certificate(certificate)?.sha256 })?;
            terminal.step("activated", "it takes over once it is known to be good; see `uuk keys list`");
            Ok(())
        }
        KeysCommand::Deactivate(Named { certificate }) => {
            server.ask(&Order::Deactivate { certificate: server.find_certificate(certificate)?.sha256 })?;
            terminal.step("done", "see `uuk keys list`");
            Ok(())
        }
        KeysCommand::Delete { name } => {
            let order = match server.find_certificate(name) {
                Ok(found) => Order::DeleteCertificate { certificate: found.sha256 },
                Err(_) => Order::DeleteKey { key: server.find_key(name)? },
            };
            server.ask(&order)?;
            terminal.step("deleted", name);
            Ok(())
        }
    }
}

fn list(server: &Running, terminal: &Terminal) -> Result<(), Failure> {
    let tokens = server.tokens()?;
    let mut text = String::new();
    for token in &tokens {
        let kind = if token.device { "device" } else { "software" };
        let state = match (token.open, token.is_new()) {
            (true, _) => "open".to_owned(),
            (false, true) => format!("new; choose its PIN: uuk keys login {}", token.name),
            (false, false) => format!("locked; open it: uuk keys login {}", token.name),
        };
        let _ = writeln!(text, "token {} ({kind}): {state}", token.name);
        if let Some(problem) = &token.problem {
            let _ = writeln!(text, "  {}: {}", problem.code, problem.text);
        }
        for key in &token.keys {
            let _ = writeln!(text, "  key {} {} {} {}", key.id, key.usage, key.algorithm, key.label);
            key.certificates.iter().for_each(|certificate| describe(certificate, &mut text));
        }
    }
    terminal.result("uuk.cli/keys-list/v1", &json!({ "tokens": tokens }), text);
    Ok(())
}

fn describe(certificate: &CertificateSummary, text: &mut String) {
    let CertificateSummary { sha256, subject, status, not_after, .. } = certificate;
    let digits = digits(sha256);
    let active = if certificate.active { "active" } else { "not active" };
    let whom = certificate.member.as_ref().map(|member| format!(" for {member}")).unwrap_or_default();
    let short = digits.get(..16).unwrap_or(&digits);
    let _ = writeln!(text, "    certificate {short}{whom}: {active}, {status}, until {not_after}");
    let _ = writeln!(text, "      {subject}");
    if let Some(problem) = &certificate.problem {
        let _ = writeln!(text, "      {}: {}", problem.code, problem.text);
    }
}

fn import(server: &Running, file: &Path, terminal: &Terminal) -> Result<(), Failure> {
    let bytes = read(file, CERTIFICATE_BYTES_MAX)?;
    let certificate = Certificate::from_der(&bytes)
        .or_else(|_| Certificate::chain_from_pem(&bytes).map(|mut chain| chain.swap_remove(0)))
        .map_err(|error| {
            let message = format!("`{}`: {error}", file.display());
            Failure::new(ExitCode::Usage, error.code(), message).causes(&error)
        })?;
    let outcome = server.ask(&Order::Import { certificate: certificate.der().to_vec() })?;
    let Outcome::Imported { certificate, key, member, status } = outcome else { return Err(unexpected()) };
    let digits = digits(&certificate);
    let short = digits.get(..16).unwrap_or(&digits);
    terminal.step("imported", format_args!("for key {key}, {status}; next: uuk keys activate {short}"));
    let result = json!({ "certificate": certificate, "key": key, "member": member, "status": status });
    terminal.result("uuk.cli/keys-import/v1", &result, digits);
    Ok(())
}

/// What of the configuration concerns keys.
#[derive(Deserialize)]
struct Section {
    #[serde(default)]
    signer: SignerConfig,
}

/// The server that a configuration belongs to.
pub(super) struct Running {
    folder: PathBuf,
}

impl Running {
    pub(super) fn of(config: &Path) -> Result<Self, Failure> {
        let invalid = |reason: &dyn std::fmt::Display| {
            let message = format!("configuration {} is not usable", config.display());
            Failure::new(ExitCode::Usage, "config.invalid", message).note(reason)
        };
        let text = std::fs::read_to_string(config).map_err(|error| invalid(&error))?;
        let mut section = from_toml::<Section>(&text).map_err(|error| invalid(&error))?.signer;
        section.resolve(config.parent().unwrap_or(Path::new("")));
        Ok(Self { folder: section.folder })
    }

    fn ask(&self, order: &Order) -> Result<Outcome, Failure> {
        Control::ask(&self.folder, order).map_err(|error| refusal(&error))
    }

    fn tokens(&self) -> Result<Vec<TokenSummary>, Failure> {
        match self.ask(&Order::List)? {
            Outcome::Tokens { tokens } => Ok(tokens),
            _ => Err(unexpected()),
        }
    }

    fn find_key(&self, name: &str) -> Result<KeyId, Failure> {
        let tokens = self.tokens()?;
        let ids = tokens.iter().flat_map(|token| &token.keys).map(|key| (key.id.to_string(), key.id.clone()));
        one_of(ids, &name.to_uppercase(), "keys.unknown_key", "key")
    }

    /// The certificate that is named by how its digest begins.
    pub(super) fn find_certificate(&self, name: &str) -> Result<CertificateSummary, Failure> {
        let tokens = self.tokens()?;
        let keys = tokens.into_iter().flat_map(|token| token.keys);
        let certificates = keys.flat_map(|key: KeySummary| key.certificates);
        let names = certificates.map(|certificate| (digits(&certificate.sha256), certificate));
        let name = name.trim_start_matches("sha256:").to_lowercase();
        one_of(names, &name, "keys.unknown_certificate", "certificate")
    }
}

/// The only one of `known` whose name begins with `prefix`.
fn one_of<T>(
    known: impl Iterator<Item = (String, T)>,
    prefix: &str,
    code: &'static str,
    what: &str,
) -> Result<T, Failure> {
    let long_enough = prefix.len() >= PREFIX_DIGITS_MIN;
    let mut found = known.filter(|(name, _)| long_enough && name.starts_with(prefix)).map(|(_, found)| found);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Failure::new(ExitCode::Usage, code, format!("no {what} is `{prefix}`"))
            .help("see `uuk keys list`; name it by at least its first 6 digits")),
        (Some(_), Some(_)) => {
            Err(Failure::new(ExitCode::Usage, code, format!("more than one {what} begins with `{prefix}`"))
                .help("give more of its digits"))
        }
    }
}

/// A digest without its prefix.
fn digits(digest: &Sha256) -> String {
    digest.to_string().trim_start_matches("sha256:").to_owned()
}

fn refusal(error: &ControlError) -> Failure {
    let exit_code = match error {
        ControlError::Refused(_) => ExitCode::CheckFailed,
        _ => ExitCode::Remote,
    };
    let failure = Failure::new(exit_code, error.code(), error).causes(error);
    match error.code() {
        "keys.unreachable" => {
            failure.help("start it with `uuk serve`, or name its configuration with `--config`")
        }
        "token.locked" => failure.help("open it with `uuk keys login`"),
        "certificate_profile.field_missing" => failure.help("give it with --field NAME=VALUE"),
        "keys.authority" => failure.help("name it with --authority NAME"),
        "keys.member_missing" => failure.help("name it with --member INSTANCE/CLASS/CODE"),
        _ => failure,
    }
}

impl PinOptions {
    fn read(&self, token: &str, new: bool) -> Result<Pin, Failure> {
        let bytes = match (&self.pin_file, self.pin_stdin) {
            (Some(path), _) => read(path, PIN_BYTES_MAX)?,
            (None, true) => {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .take(PIN_BYTES_MAX)
                    .read_to_end(&mut bytes)
                    .map_err(|error| no_pin(&error))?;
                bytes
            }
            (None, false) => ask_for_pin(token, new)?.into_bytes(),
        };
        let text = String::from_utf8(bytes).map_err(|_| no_pin(&"it is not text"))?;
        let line = text.lines().next().unwrap_or_default().to_owned();
        Pin::try_from(line).map_err(|error| no_pin(&error))
    }
}

/// Asks on the terminal, which shows nothing of what is typed; twice for a new PIN, since a mistake would lock the keys
/// up for good.
fn ask_for_pin(token: &str, new: bool) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(no_pin(&"there is no terminal to ask for it").help("use --pin-file or --pin-stdin"));
    }
    let ask = |what: &str| {
        let mut terminal = console::Term::stderr();
        write!(terminal, "{what} of token {token}: ").and_then(|()| terminal.read_secure_line())
    };
    let pin = ask(if new { "New PIN" } else { "PIN" }).map_err(|error| no_pin(&error))?;
    if new && ask("The same PIN again").map_err(|error| no_pin(&error))? != pin {
        return Err(no_pin(&"the two PINs are not the same"));
    }
    Ok(pin)
}

fn no_pin(reason: &dyn std::fmt::Display) -> Failure {
    Failure::new(ExitCode::Usage, "keys.no_pin", "there is no PIN").note(reason)
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(bytes_max).read_to_end(&mut bytes));
    read.map_err(|error| {
        let message = format!("cannot read `{}`", path.display());
        Failure::new(ExitCode::Remote, "keys.file_unreadable", message).note(error)
    })?;
    Ok(bytes)
}

fn write_request(path: &Path, request: &[u8], format: Format) -> Result<(), Failure> {
    let unwritable = |reason: &dyn std::fmt::Display| {
        let message = format!("cannot write `{}`", path.display());
        Failure::new(ExitCode::Remote, "keys.file_unwritable", message).note(reason)
    };
    let written = match format {
        Format::Der => std::fs::write(path, request),
        Format::Pem => {
            let pem = der::pem::encode_string("CERTIFICATE REQUEST", LineEnding::LF, request);
            std::fs::write(path, pem.map_err(|error| unwritable(&error))?)
        }
    };
    written.map_err(|error| unwritable(&error))
}

fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl From<Usage> for CertificateUse {
    fn from(usage: Usage) -> Self {
        match usage {
            Usage::Signing => Self::Signing,
            Usage::Authentication => Self::Authentication,
        }
    }
}

fn unexpected() -> Failure {
    Failure::new(ExitCode::Remote, "keys.malformed", "the server answered something else than was asked")
}
