//! `uuk bundle sign`: the author's or the vetters' signature.

use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use serde::Serialize;
use uuk_asic::{Profile, Signer};
use uuk_bundle::{Bundle, BundleDigest, BundleError, Role, VettingStatement, sign_author, vet};
use uuk_pki::{Certificate, KeyFile, Password};
use uuk_process::Clock;

use super::{read_file, refusal, write_file};
use crate::exit_code::ExitCode;
use crate::terminal::{Failure, Terminal};

/// Key files and certificate chains are a few kilobytes.
const KEY_FILE_BYTES_MAX: usize = 512 << 10;

/// Sign a bundle as its author or, after review, as its vetter
///
/// The author signs every part. The vetter adds a statement with the reviewers' names and its last day, and signs
/// everything, the author's signature included.
#[derive(Debug, clap::Args)]
pub(crate) struct SignOptions {
    /// The bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose signature
    #[arg(long)]
    role: SigningRole,
    /// Private key: encrypted PKCS#8 in PEM, or PKCS#12
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Certificate of the key and those between it and the authority, in PEM; not needed for PKCS#12
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordOptions,
    #[command(flatten)]
    vetting: VettingOptions,
    /// Where to write the signed bundle [default: in place]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SigningRole {
    Author,
    Vetting,
}

/// A password is never read from the command line, where other users and the shell's history see it.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct PasswordOptions {
    /// File with the key's password in its first line
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Read the key's password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, clap::Args)]
struct VettingOptions {
    /// Name of a reviewer; a vetting has at least two
    #[arg(long = "reviewer", value_name = "NAME")]
    reviewers: Vec<String>,
    /// Last day of the vetting, in UTC: 2027-08-01
    #[arg(long, value_name = "DATE", required_if_eq("role", "vetting"))]
    expires: Option<Date>,
    /// How closely it was reviewed
    #[arg(long, value_name = "TIER", default_value = "standard")]
    tier: String,
    /// What agencies may grant, in words
    #[arg(long, value_name = "TEXT", default_value = "as the manifest asks")]
    grants: String,
}

#[derive(Serialize)]
struct Signed<'a> {
    file: &'a Path,
    role: Role,
    signer: &'a str,
    digest: BundleDigest,
}

pub(super) fn run(options: &SignOptions, terminal: &Terminal) -> Result<(), Failure> {
    let limits = Profile::bundle().limits;
    let output = options.output.as_ref().unwrap_or(&options.file);
    let refused = |error: BundleError| refusal(&options.file, &error);
    let bundle =
        Bundle::read(&read_file(&options.file, limits.container_bytes_max)?, &limits).map_err(refused)?;
    let (key_file, certificates) = read_identity(options)?;
    let Some((certificate, intermediates)) = certificates.split_first() else {
        return Err(Failure::new(
            ExitCode::Usage,
            "bundle.no_certificate",
            "the key's certificate is missing",
        )
        .help("name it with --certificate"));
    };
    let signer = Signer { key: &key_file.key, certificate, intermediates };

    let now = Clock::system().now();
    let (role, signed) = match options.role {
        SigningRole::Author => (Role::Author, sign_author(&bundle, &signer, now).map_err(refused)?),
        SigningRole::Vetting => {
            let statement = state(&bundle, &options.vetting)?;
            (Role::Vetting, vet(&bundle, &statement, &signer, now).map_err(refused)?)
        }
    };
    write_file(output, &signed)?;
    let result =
        Signed { file: output, role, signer: certificate.subject(), digest: BundleDigest::of(&signed) };
    terminal.step("signed", format_args!("as {role} by {}", result.signer));
    terminal.result("uuk.cli/bundle-sign/v1", &result, format!("{}  {}", result.digest, output.display()));
    Ok(())
}

/// Reads the key, and its certificate from wherever it is.
fn read_identity(options: &SignOptions) -> Result<(KeyFile, Vec<Certificate>), Failure> {
    let password = read_password(&options.password)?;
    let key_bytes = read_file(&options.key, KEY_FILE_BYTES_MAX)?;
    let mut key_file = KeyFile::read(&key_bytes, &password).map_err(|error| {
        let message = format!("`{}`: {error}", options.key.display());
        Failure::new(ExitCode::Usage, error.code(), message)
    })?;
    let certificates = match &options.certificate {
        None => std::mem::take(&mut key_file.certificates),
        Some(path) => {
            Certificate::chain_from_pem(&read_file(path, KEY_FILE_BYTES_MAX)?).map_err(|error| {
                let message = format!("`{}`: {error}", path.display());
                Failure::new(ExitCode::Usage, error.code(), message).causes(&error)
            })?
        }
    };
    Ok((key_file, certificates))
}

fn read_password(options: &PasswordOptions) -> Result<Password, Failure> {
    const PASSWORD_BYTES_MAX: usize = 4096;
    let mut bytes = match &options.password_file {
        Some(path) => read_file(path, PASSWORD_BYTES_MAX)?,
        None => {
            let mut bytes = Vec::new();
            std::io::stdin().take(PASSWORD_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(|error| {
                Failure::new(ExitCode::Remote, "bundle.password_unreadable", "cannot read the password")
                    .note(error)
            })?;
            bytes
        }
    };
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    bytes.truncate(end);
    Ok(Password::new(bytes))
}

fn state(bundle: &Bundle, options: &VettingOptions) -> Result<VettingStatement, Failure> {
    let plugin = &bundle.manifest().plugin;
    Ok(VettingStatement {
        plugin: plugin.id.clone(),
        version: plugin.version.clone(),
        reviewers: options.reviewers.clone(),
        tier: options.tier.clone(),
        grants: options.grants.clone(),
        expires: end_of(options.expires)?,
    })
}

/// The last second of a day.
fn end_of(day: Option<Date>) -> Result<Timestamp, Failure> {
    day.and_then(|day| day.to_datetime(time(23, 59, 59, 0)).to_zoned(TimeZone::UTC).ok())
        .map(|last| last.timestamp())
        .ok_or_else(|| {
            Failure::new(ExitCode::Usage, "bundle.no_expiry", "a vetting has a last day")
                .help("name it with --expires 2027-08-01")
        })
}
