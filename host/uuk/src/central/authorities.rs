use std::path::PathBuf;

use clap::Subcommand;
use uuk_central::{Authority, CertificationService, Responder, TimeStampingService};

use super::{Operator, read_certificate};
use crate::terminal::Failure;

/// Where X-Road's own profiles are.
const PROFILES: &str = "ee.ria.xroad.common.certificateprofile.impl.";

#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityCommand {
    /// Approve a certification service, or what it has become
    Set(AuthorityOptions),
    /// No longer approve a certification service: none of its certificates counts any more
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct AuthorityOptions {
    /// For people
    name: String,
    /// Certificate of the top authority, then of each below it, DER or PEM
    #[arg(long, value_name = "FILE", required = true)]
    certificate: Vec<PathBuf>,
    /// Who answers about the certificates of all of them
    #[arg(long, value_name = "URL")]
    ocsp: Vec<String>,
    /// How subjects name members: the name of a Java class, or what X-Road's own begin with, such as Basic or Ejbca
    #[arg(long, value_name = "NAME")]
    profile: String,
    /// Its certificates are for TLS only
    #[arg(long)]
    authentication_only: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TimeStampingCommand {
    /// Approve a time-stamping service, or what it has become
    Set {
        /// For people
        name: String,
        /// Where to ask
        #[arg(long)]
        url: String,
        /// The certificate that signs its time-stamps, DER or PEM
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
    },
    /// No longer approve a time-stamping service
    Remove {
        /// Its name
        name: String,
    },
}

pub(super) fn authority(command: &AuthorityCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    match command {
        AuthorityCommand::Set(options) => {
            let service = options.read()?;
            operator.change("set-certification-service", |registry| {
                registry.set_certification_service(&options.name, service.clone())
            })
        }
        AuthorityCommand::Remove { name } => operator
            .change("remove-certification-service", |registry| registry.remove_certification_service(name)),
    }
}

pub(super) fn time_stamping(command: &TimeStampingCommand, operator: &Operator<'_>) -> Result<(), Failure> {
    match command {
        TimeStampingCommand::Set { name, url, certificate } => {
            let service =
                TimeStampingService { url: url.clone(), certificate: read_certificate(certificate)? };
            operator.change("set-time-stamping-service", |registry| {
                registry.set_time_stamping_service(name, service.clone())
            })
        }
        TimeStampingCommand::Remove { name } => operator
            .change("remove-time-stamping-service", |registry| registry.remove_time_stamping_service(name)),
    }
}

impl AuthorityOptions {
    fn read(&self) -> Result<CertificationService, Failure> {
        let authorities = self.certificate.iter().map(|file| {
            let responders = self.ocsp.iter().map(|url| Responder { url: url.clone(), certificate: None });
            Ok(Authority { certificate: read_certificate(file)?, responders: responders.collect() })
        });
        let certificate_profile = match self.profile.contains('.') {
            true => self.profile.clone(),
            false => format!("{PROFILES}{}CertificateProfileInfoProvider", self.profile),
        };
        Ok(CertificationService {
            authentication_only: self.authentication_only,
            authorities: authorities.collect::<Result<_, Failure>>()?,
            certificate_profile,
        })
    }
}
