use std::path::Path;

use crate::config::{SignerConfig, TokenConfig};
use crate::error::TokenError;
use crate::identity::Identities;
use crate::order::{KeySummary, Problem, TokenSummary};
use crate::pin::Pin;
use crate::pkcs11::Modules;
use crate::refused_pin::RefusedPin;
use crate::signer::device;
use crate::token::TokenRecord;

/// Looks at the tokens of a server that does not run. Nothing is changed.
///
/// A software token with a PIN file is opened, and closed again. A device is not given its PIN, since it counts wrong
/// ones: that it stays closed without a problem means that the server will open it. Whether certificates are good is not
/// asked.
pub fn inspect(config: &SignerConfig) -> Vec<TokenSummary> {
    let mut modules = Modules::default();
    let inspect = |(name, token): (&String, &TokenConfig)| {
        let folder = config.folder.join("tokens").join(name);
        let record = TokenRecord::load(&folder);
        let found = match &record {
            Ok(record) => look(name, token, &folder, record, &mut modules),
            Err(error) => Err(Problem::new(error.code(), error)),
        };
        let keys = record.map(|record| record.keys).unwrap_or_default();
        TokenSummary {
            name: name.clone(),
            device: token.pkcs11.is_some(),
            open: matches!(found, Ok(true)),
            problem: found.err(),
            keys: keys.iter().map(|key| KeySummary::of(key, &Identities::default())).collect(),
        }
    };
    config.tokens.iter().map(inspect).collect()
}

/// Whether the token opens.
fn look(
    name: &str,
    token: &TokenConfig,
    folder: &Path,
    record: &TokenRecord,
    modules: &mut Modules,
) -> Result<bool, Problem> {
    let problem = |error: TokenError| Problem::new(error.code(), &error);
    let pin = token.pin_file.as_deref().map(|path| Pin::read(path).map(|pin| (path, pin)));
    let pin = pin.transpose().map_err(problem)?;
    let device = device(name, token, folder, modules).map_err(problem)?;
    device.check().map_err(problem)?;
    let Some((path, pin)) = pin else { return Ok(false) };
    let is_refused = match &token.pkcs11 {
        Some(_) => RefusedPin::of(folder).is(&pin),
        None => device.open(&pin, &record.keys).is_err(),
    };
    match is_refused {
        true => Err(problem(TokenError::PinFileRefused { token: name.to_owned(), path: path.to_owned() })),
        false => Ok(device.is_open()),
    }
}
