use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::response::{Category, Severity};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuk_central::{Central, CentralError, Delivery, Letter, MailAddress, read_password};
use uuk_process::ErrorChain;

use crate::letters;

const CHECK_EVERY: Duration = Duration::from_secs(5);
const REMIND_EVERY: Duration = Duration::from_secs(60);
const SEND_TIME_MAX: Duration = Duration::from_secs(30);

/// Section `[mail]`: where letters go, so that people need not look whether it is their turn.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// The mail server, by the name in its certificate.
    pub server: String,
    /// Its port. Default: 587, or 465 with `tls`, or 25 with `none`.
    pub port: Option<u16>,
    /// How the connection is kept secret: `starttls`, `tls` from the first byte on, or `none`, which is for a mail server
    /// on this machine only. Default: `starttls`.
    #[serde(default)]
    pub security: MailSecurity,
    /// The authorities that vouch for the mail server, in PEM. Default: those that this machine trusts.
    pub authorities: Option<PathBuf>,
    /// As whom to sign in there. Default: nobody.
    pub user: Option<String>,
    /// File of that user's password.
    pub password_file: Option<PathBuf>,
    /// From whom the letters come.
    pub from: MailAddress,
    /// Where people find the pages: `https://central.example.kg`.
    pub pages: String,
}

/// How the connection to a mail server is kept secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// TLS after a greeting; without it, nothing is sent.
    #[default]
    StartTls,
    /// TLS from the first byte on.
    Tls,
    /// None.
    None,
}

/// Why no letters can be sent.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "mail.")]
#[non_exhaustive]
pub enum MailError {
    /// The file of the authorities cannot be read.
    #[error("cannot read the authorities in {}", path.display())]
    Authorities {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file holds none, or the name of the server is none.
    #[error("the mail server cannot be known by its certificate")]
    Tls(#[source] lettre::transport::smtp::Error),
    /// The password cannot be read.
    #[error(transparent)]
    Password(#[from] CentralError),
}

impl MailError {
    /// The stable code: of the cause, if there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Password(error) => error.code(),
            other => other.into(),
        }
    }
}

impl MailConfig {
    /// What the types cannot say.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.security == MailSecurity::None && !is_this_machine(&self.server) {
            problems.push("mail.security: `none` only for `localhost`, `127.0.0.1` or `::1`".to_owned());
        }
        if self.user.is_some() != self.password_file.is_some() {
            problems.push("mail.user: goes with mail.password_file".to_owned());
        }
        let is_address = self.pages.strip_prefix("https://").or_else(|| self.pages.strip_prefix("http://"));
        if is_address.is_none_or(|rest| rest.is_empty() || rest.contains(char::is_whitespace)) {
            problems.push("mail.pages: an address such as `https://central.example.kg`".to_owned());
        }
        problems
    }

    /// Makes the files it names relative to `folder`, where it was read.
    pub fn resolve(&mut self, folder: &Path) {
        for file in [&mut self.authorities, &mut self.password_file].into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
        let (tls, port) = match self.security {
            MailSecurity::StartTls => (Tls::Required(self.tls()?), 587),
            MailSecurity::Tls => (Tls::Wrapper(self.tls()?), 465),
            MailSecurity::None => (Tls::None, 25),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.server)
            .port(self.port.unwrap_or(port))
            .tls(tls)
            .timeout(Some(SEND_TIME_MAX));
        if let (Some(user), Some(file)) = (&self.user, &self.password_file) {
            let password = read_password(file)?;
            transport = transport.credentials(Credentials::new(user.clone(), password.expose().clone()));
        }
        Ok(transport.build())
    }

    fn tls(&self) -> Result<TlsParameters, MailError> {
        let mut parameters = TlsParameters::builder(self.server.clone());
        if let Some(path) = &self.authorities {
            let unreadable = |source| MailError::Authorities { path: path.clone(), source };
            let pem = std::fs::read(path).map_err(unreadable)?;
            parameters = parameters
                .certificate_store(CertificateStore::None)
                .add_root_certificate(Certificate::from_pem(&pem).map_err(MailError::Tls)?);
        }
        parameters.build().map_err(MailError::Tls)
    }
}

fn is_this_machine(server: &str) -> bool {
    server == "localhost" || server.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Sends the letters that the central server keeps.
#[derive(Debug)]
pub struct Mailer {
    central: Arc<Central>,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: MailAddress,
    pages: String,
}

impl Mailer {
    /// Reads the files of `config`. Nothing is sent yet, and the mail server need not be there.
    ///
    /// # Errors
    /// [`MailError`]
    pub fn build(config: &MailConfig, central: Arc<Central>) -> Result<Self, MailError> {
        let pages = config.pages.trim_end_matches('/').to_owned();
        Ok(Self { central, transport: config.transport()?, from: config.from.clone(), pages })
    }

    /// Reminds and sends until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let sending = async {
            let mut check = tokio::time::interval(CHECK_EVERY);
            check.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut remind_at = Instant::now();
            loop {
                let now = check.tick().await;
                let reminded = match now >= remind_at {
                    true => self.central.remind().await,
                    false => Ok(()),
                };
                if reminded.is_ok() && now >= remind_at {
                    remind_at = now + REMIND_EVERY;
                }
                if let Err(error) = reminded.and(self.send_due().await) {
                    warn!(error = %ErrorChain(&error), "Letters stay where they are: {error}");
                }
            }
        };
        stop.run_until_cancelled(sending).await;
    }

    /// Sends what is due, until one does not get through: the others would not either.
    async fn send_due(&self) -> Result<(), CentralError> {
        while let Some(letter) = self.central.take_letter().await? {
            let delivery = self.send(&letter).await;
            self.central.settle_letter(&letter, &delivery).await?;
            let person = &letter.person.name;
            match &delivery {
                Delivery::Taken => info!(person, "Wrote to {person}"),
                Delivery::Delayed(error) => {
                    warn!(person, error, "A letter to {person} does not get through yet: {error}");
                    return Ok(());
                }
                Delivery::Refused(error) => {
                    warn!(person, error, "A letter to {person} is refused for good: {error}");
                }
            }
        }
        Ok(())
    }

    async fn send(&self, letter: &Letter) -> Delivery {
        let message = match self.message(letter) {
            Ok(message) => message,
            Err(error) => return Delivery::Refused(error.to_string()),
        };
        match self.transport.send(message).await {
            Ok(_) => Delivery::Taken,
            Err(error) => {
                // With its cause, which lettre puts there.
                let text = error.to_string();
                // A mail server that does not let us in says nothing of the letter.
                let is_of_letter = error.status().is_some_and(|code| {
                    code.severity == Severity::PermanentNegativeCompletion
                        && code.category == Category::MailSystem
                });
                if is_of_letter { Delivery::Refused(text) } else { Delivery::Delayed(text) }
            }
        }
    }

    fn message(&self, letter: &Letter) -> Result<Message, lettre::error::Error> {
        let address =
            |address: &MailAddress| address.as_str().parse().map_err(|_| lettre::error::Error::MissingTo);
        let written = letters::write(letter, &self.pages);
        let domain = self.from.as_str().rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        Message::builder()
            .from(Mailbox::new(None, address(&self.from)?))
            .to(Mailbox::new(Some(letter.person.full_name.clone()), address(&letter.address)?))
            .subject(written.subject)
            .message_id(Some(format!("<{}@{domain}>", hex_of(letter))))
            .header(AutoSubmitted)
            .header(ContentType::TEXT_PLAIN)
            .body(written.text)
    }
}

/// Without the name of the digest, whose colon has no place there.
fn hex_of(letter: &Letter) -> String {
    letter.digest().to_string().rsplit(':').next().unwrap_or_default().to_owned()
}

/// RFC 3834: nobody's absence is to be told to a program.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
