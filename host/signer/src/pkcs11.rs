//! Keys in a PKCS#11 device.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use der::asn1::{ObjectIdentifier, OctetString, Uint};
use der::{Decode, Encode};
use tracing::{info, warn};
use uuk_pki::{Digest, DigestAlgorithm, KeyError, PublicKey, SignatureScheme, SigningKey};
use uuk_process::{ErrorChain, Secret};

use crate::config::Pkcs11Config;
use crate::device::Device;
use crate::error::TokenError;
use crate::pin::Pin;
use crate::token::{KeyAlgorithm, KeyId, KeyRecord};

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// ECDSA takes the leftmost bits of a longer digest, as many as the field has. Some devices refuse to cut.
const P256_FIELD_BYTES: usize = 32;
const UNCOMPRESSED_POINT: u8 = 4;
/// What an RSA key is made of.
const RSA: [AttributeType; 2] = [AttributeType::Modulus, AttributeType::PublicExponent];
const PUBLIC_EXPONENT: [u8; 3] = [1, 0, 1];
/// A module is not restarted more often, since that also ends the sessions of its other tokens.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// The modules in use, each loaded once: PKCS#11 knows one state per process.
#[derive(Default)]
pub(crate) struct Modules(HashMap<PathBuf, Arc<Module>>);

struct Module {
    context: Pkcs11,
    /// Held for reading during calls: a module may be restarted only while nobody calls it.
    state: RwLock<ModuleState>,
}

#[derive(Default)]
struct ModuleState {
    started: bool,
    tried: Option<Instant>,
}

impl Modules {
    /// Loads a module. If it does not start, its device may come later.
    fn load(&mut self, path: &Path) -> Result<Arc<Module>, Error> {
        if let Some(module) = self.0.get(path) {
            return Ok(module.clone());
        }
        let module = Arc::new(Module { context: Pkcs11::new(path)?, state: RwLock::default() });
        module.restart();
        self.0.insert(path.to_owned(), module.clone());
        Ok(module)
    }
}

impl Module {
    /// Starts the module anew: many notice only then that a token was put in again. Not if it is in use or was tried
    /// just now.
    fn restart(&self) {
        let Ok(mut state) = self.state.try_write() else { return };
        if state.tried.is_some_and(|tried| tried.elapsed() < RESTART_PAUSE) {
            return;
        }
        state.tried = Some(Instant::now());
        if state.started {
            // Whether it ends well does not matter to what begins.
            let _ = self.context.clone().finalize();
            info!("A PKCS#11 module is restarted, since a token is away");
        }
        let locking = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        let started = self.context.initialize(locking);
        state.started = started.is_ok();
        if let Err(error) = started {
            warn!(%error, "A PKCS#11 module does not start");
        }
    }
}

/// A token of a module, found by its label.
pub(crate) struct Pkcs11Token(Arc<Connection>);

struct Connection {
    name: String,
    label: String,
    module: Arc<Module>,
    state: Mutex<State>,
    /// Held during a login, so that a PIN that has become wrong is tried once, and not by each thread.
    login: Mutex<()>,
}

#[derive(Default)]
struct State {
    pin: Option<Pin>,
    /// Sessions that nobody uses: never more than there were calls at once, which the threads of the token bound.
    idle: Vec<OpenSession>,
}

struct OpenSession {
    session: Session,
    /// Private keys that were looked up in this session.
    keys: HashMap<KeyId, ObjectHandle>,
}

impl Pkcs11Token {
    pub(crate) fn new(name: &str, config: &Pkcs11Config, modules: &mut Modules) -> Result<Self, TokenError> {
        let module = modules
            .load(&config.module)
            .map_err(|source| TokenError::Device { token: name.to_owned(), source: Box::new(source) })?;
        Ok(Self(Arc::new(Connection {
            name: name.to_owned(),
            label: config.label.clone(),
            module,
            state: Mutex::default(),
            login: Mutex::default(),
        })))
    }
}

impl Connection {
    /// Does `work` in a session of its own. If that fails, the token may have been away: everything that rests on it is
    /// let go, and the work is tried once more from the beginning.
    fn call<T>(&self, work: impl Fn(&mut OpenSession) -> Result<T, Error>) -> Result<T, TokenError> {
        match self.attempt(&work) {
            Err(TokenError::Device { source, .. }) => {
                warn!(token.id = %self.name, error = %source, "Token {} is tried again", self.name);
            }
            Err(TokenError::NoDevice { .. }) => {}
            settled => return settled,
        }
        self.state().idle.clear();
        match self.attempt(&work) {
            Err(error) if error.is_absence() => {
                self.state().idle.clear();
                self.module.restart();
                self.attempt(&work)
            }
            settled => settled,
        }
    }

    fn attempt<T>(&self, work: &impl Fn(&mut OpenSession) -> Result<T, Error>) -> Result<T, TokenError> {
        let _calling = self.module.state.read().unwrap_or_else(PoisonError::into_inner);
        let idle = self.state().idle.pop();
        let mut session = match idle {
            Some(session) => session,
            None => self.open_session()?,
        };
        let done = work(&mut session).map_err(|error| self.failed(error))?;
        // A session in which something failed is not used again.
        self.state().idle.push(session);
        Ok(done)
    }

    fn open_session(&self) -> Result<OpenSession, TokenError> {
        let _one_login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        let pin = self.state().pin.clone();
        let pin = pin.ok_or_else(|| TokenError::Locked { token: self.name.clone() })?;
        let context = &self.module.context;
        let session = context.open_rw_session(self.slot()?).map_err(|error| self.failed(error))?;
        match session.login(UserType::User, Some(&AuthPin::new(pin.expose().to_owned().into()))) {
            // One login holds for all sessions with the token.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(Error::Pkcs11(
                refusal @ (RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinLocked),
                _,
            )) => {
                // Devices block themselves after a few wrong ones: this one is never tried again.
                self.state().pin = None;
                let token = self.name.clone();
                return Err(match refusal {
                    RvError::PinLocked => TokenError::Blocked { token },
                    _ => TokenError::WrongPin { token },
                });
            }
            Err(error) => return Err(self.failed(error)),
        }
        Ok(OpenSession { session, keys: HashMap::new() })
    }

    /// What the token says of itself to whoever asks.
    fn info(&self) -> Result<TokenInfo, TokenError> {
        let _calling = self.module.state.read().unwrap_or_else(PoisonError::into_inner);
        self.module.context.get_token_info(self.slot()?).map_err(|error| self.failed(error))
    }

    fn slot(&self) -> Result<Slot, TokenError> {
        let context = &self.module.context;
        let slots = context.get_slots_with_token().map_err(|error| self.failed(error))?;
        let labelled = |slot: &Slot| {
            context.get_token_info(*slot).is_ok_and(|token| token.label().trim_end() == self.label)
        };
        let found: Vec<_> = slots.into_iter().filter(labelled).collect();
        match found.as_slice() {
            [slot] => Ok(*slot),
            _ => Err(TokenError::NoDevice { label: self.label.clone() }),
        }
    }

    fn failed(&self, source: Error) -> TokenError {
        TokenError::Device { token: self.name.clone(), source: Box::new(source) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenSession {
    /// The private key of this `CKA_ID`.
    fn private_key(&mut self, id: &KeyId) -> Result<ObjectHandle, Error> {
        if let Some(key) = self.keys.get(id) {
            return Ok(*key);
        }
        let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(id.bytes())];
        let key = self.session.find_objects(&wanted)?.first().copied().ok_or(Error::InvalidValue)?;
        self.keys.insert(id.clone(), key);
        Ok(key)
    }
}

impl Device for Pkcs11Token {
    fn open(&self, pin: &Pin, _keys: &[KeyRecord]) -> Result<(), TokenError> {
        {
            let mut state = self.0.state();
            state.idle.clear();
            state.pin = Some(pin.clone());
        }
        self.0.call(|_| Ok(())).inspect_err(|_| self.close())
    }

    fn close(&self) {
        *self.0.state() = State::default();
    }

    fn is_open(&self) -> bool {
        self.0.state().pin.is_some()
    }

    fn check(&self) -> Result<(), TokenError> {
        if self.is_open() {
            return self.0.call(|open| open.session.get_session_info().map(drop));
        }
        match self.0.info()?.user_pin_locked() {
            true => Err(TokenError::Blocked { token: self.0.name.clone() }),
            false => Ok(()),
        }
    }

    fn is_at_last_try(&self) -> bool {
        self.0.info().is_ok_and(|token| token.user_pin_final_try())
    }

    fn generate(&self, id: &KeyId, algorithm: KeyAlgorithm) -> Result<PublicKey, TokenError> {
        let (mechanism, kind) = match algorithm.rsa_bits() {
            Some(bits) => (
                Mechanism::RsaPkcsKeyPairGen,
                vec![
                    Attribute::ModulusBits(u64::from(bits).into()),
                    Attribute::PublicExponent(PUBLIC_EXPONENT.to_vec()),
                ],
            ),
            None => {
                let curve = P256.to_der().map_err(|_| TokenError::Generation)?;
                (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(curve)])
            }
        };
        let named = [Attribute::Token(true), Attribute::Id(id.bytes())];
        // X-Road's servers also let keys decrypt, which no message needs. Where nothing is said, some devices allow it.
        let verifies = [Attribute::Private(false), Attribute::Verify(true), Attribute::Encrypt(false)];
        let public = [&named[..], &verifies, &kind].concat();
        let signs = [
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Decrypt(false),
        ];
        let private = [&named[..], &signs].concat();
        let attributes = self.0.call(|OpenSession { session, .. }| {
            let (public, _) = session.generate_key_pair(&mechanism, &public, &private)?;
            let wanted = match algorithm.rsa_bits() {
                Some(_) => &RSA[..],
                None => &[AttributeType::EcPoint],
            };
            session.get_attributes(public, wanted)
        })?;
        public_key(&attributes).ok_or(TokenError::Generation)
    }

    fn key(&self, key: &KeyRecord) -> Result<Arc<dyn SigningKey>, TokenError> {
        if !self.is_open() {
            return Err(TokenError::Locked { token: self.0.name.clone() });
        }
        let (connection, id) = (self.0.clone(), key.id.clone());
        Ok(Arc::new(DeviceKey { connection, id, algorithm: key.algorithm }))
    }

    fn private_key(&self, _id: &KeyId) -> Option<Secret<Vec<u8>>> {
        None
    }

    fn destroy(&self, id: &KeyId) -> Result<(), TokenError> {
        self.0.call(|open| {
            open.keys.remove(id);
            let objects = open.session.find_objects(&[Attribute::Id(id.bytes())])?;
            objects.into_iter().try_for_each(|object| open.session.destroy_object(object))
        })
    }
}

impl Pkcs11Token {
    /// The key whose public half lies in the token.
    pub(crate) fn find(&self, wanted: &PublicKey) -> Result<Option<Arc<dyn SigningKey>>, TokenError> {
        let found = self.0.call(|OpenSession { session, .. }| {
            for object in session.find_objects(&[Attribute::Class(ObjectClass::PUBLIC_KEY)])? {
                // What a key of the other kind has not is left out.
                let rsa = session.get_attributes(object, &RSA)?;
                let found = public_key(&rsa);
                let found = match found {
                    Some(found) => Some(found),
                    None => public_key(&session.get_attributes(object, &[AttributeType::EcPoint])?),
                };
                if found.as_ref() == Some(wanted) {
                    return session.get_attributes(object, &[AttributeType::Id]);
                }
            }
            Ok(Vec::new())
        })?;
        let [Attribute::Id(id)] = found.as_slice() else { return Ok(None) };
        // Of RSA only the scheme counts here, which is the same for every length.
        let algorithm = match wanted {
            PublicKey::Rsa(_) => KeyAlgorithm::Rsa2048,
            _ => KeyAlgorithm::EcP256,
        };
        Ok(Some(Arc::new(DeviceKey { connection: self.0.clone(), id: KeyId::of_device(id), algorithm })))
    }
}

/// The public key that the attributes of its object describe.
fn public_key(attributes: &[Attribute]) -> Option<PublicKey> {
    match attributes {
        [Attribute::Modulus(modulus), Attribute::PublicExponent(exponent)]
        | [Attribute::PublicExponent(exponent), Attribute::Modulus(modulus)] => {
            let numbers = vec![Uint::new(modulus).ok()?, Uint::new(exponent).ok()?];
            Some(PublicKey::Rsa(numbers.to_der().ok()?))
        }
        [Attribute::EcPoint(point)] => {
            // PKCS#11 wants it in an OCTET STRING, and some devices give it bare.
            let inner = OctetString::from_der(point).map(|octets| octets.into_bytes().into_vec());
            let point = inner.unwrap_or_else(|_| point.clone());
            let whole = point.len() == 1 + 2 * P256_FIELD_BYTES && point.first() == Some(&UNCOMPRESSED_POINT);
            whole.then_some(PublicKey::EcP256(point))
        }
        _ => None,
    }
}

/// A private key that stays in the device.
struct DeviceKey {
    connection: Arc<Connection>,
    id: KeyId,
    algorithm: KeyAlgorithm,
}

impl SigningKey for DeviceKey {
    fn scheme(&self) -> SignatureScheme {
        match self.algorithm.rsa_bits() {
            Some(_) => SignatureScheme::RsaPkcs1,
            None => SignatureScheme::Ecdsa,
        }
    }

    fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, KeyError> {
        let (mechanism, data) = match self.scheme() {
            SignatureScheme::Ecdsa => {
                (Mechanism::Ecdsa, digest.as_bytes().iter().copied().take(P256_FIELD_BYTES).collect())
            }
            _ => (Mechanism::RsaPkcs, digest_info(digest)),
        };
        let signed = self.connection.call(|open| {
            let key = open.private_key(&self.id)?;
            open.session.sign(&mechanism, key, &data)
        });
        signed.map_err(|error| {
            let Self { connection, id, .. } = self;
            warn!(token.id = %connection.name, key.id = %id, error = %ErrorChain(&error), "Key {id} did not sign");
            KeyError::Signing
        })
    }
}

/// `DigestInfo`, which `CKM_RSA_PKCS` pads and signs (RFC 8017 §9.2, note 1).
fn digest_info(digest: &Digest) -> Vec<u8> {
    let (algorithm, length) = match digest.algorithm() {
        DigestAlgorithm::Sha256 => (1, 32),
        DigestAlgorithm::Sha384 => (2, 48),
        DigestAlgorithm::Sha512 => (3, 64),
    };
    // SEQUENCE { SEQUENCE { OBJECT IDENTIFIER 2.16.840.1.101.3.4.2.x, NULL }, OCTET STRING digest }
    let mut info = vec![0x30, 17 + length, 0x30, 13, 0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, algorithm];
    info.extend([0x05, 0, 0x04, length]);
    info.extend(digest.as_bytes());
    info
}

#[cfg(test)]
mod tests;
