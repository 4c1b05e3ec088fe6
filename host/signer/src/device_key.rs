use std::path::Path;
use std::sync::Arc;

use uuk_pki::{Certificate, SigningKey};

use crate::config::Pkcs11Config;
use crate::device::Device;
use crate::error::TokenError;
use crate::pin::Pin;
use crate::pkcs11::{Modules, Pkcs11Token};

/// The key in a device that belongs to `certificate`, whoever made it there. The PIN is the first line of `pin_file`; if one
/// more wrong PIN would block the device, it is not tried. It may block.
///
/// # Errors
/// [`TokenError`]: the device or the file cannot be read, the PIN is wrong, or there is no such key.
pub fn open_device_key(
    config: &Pkcs11Config,
    pin_file: &Path,
    certificate: &Certificate,
) -> Result<Arc<dyn SigningKey>, TokenError> {
    let (name, pin) = (&config.label, Pin::read(pin_file)?);
    let token = Pkcs11Token::new(name, config, &mut Modules::default())?;
    if token.is_at_last_try() {
        return Err(TokenError::LastTry { token: name.clone(), path: pin_file.to_owned() });
    }
    token.open(&pin, &[])?;
    let found = match certificate.public_key() {
        Ok(public) => token.find(&public)?,
        Err(_) => None,
    };
    found.ok_or_else(|| TokenError::NoKey { token: name.clone(), subject: certificate.subject().to_owned() })
}
