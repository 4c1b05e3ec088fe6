//! The threads on which the keys of a token sign, and how waiting messages come to share a signature.
//!
//! A key that signs in no time does so where it is asked, once everything else that was ready to run has run, or a batch is
//! full: the messages that came to it meanwhile share the signature, which the receivers then verify once. On an idle
//! server there are none, and nobody waits. Other keys belong to the threads of their token: an idle one signs at once;
//! while it is busy, what arrives waits, and is signed together next: the slower the key is beside the load, the more
//! messages share each signature, so that a slow device slows messages down without making them pile up.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tracing::error;
use uuk_asic::{MessageSigner, PendingSignature, SignError, SignatureDocuments};
use uuk_pki::{Digest, SignatureScheme, SigningKey};
use uuk_process::{Clock, ErrorChain};

use crate::error::SignerError;
use crate::identity::SigningIdentity;

/// How a token's keys are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Signatures in progress: one thread each.
    pub(crate) at_once: usize,
    /// Messages under one signature.
    pub(crate) batch_max: usize,
    /// Messages that wait.
    pub(crate) waiting_max: usize,
}

/// The threads of a token. Dropping it lets them finish what waits.
pub(crate) struct SigningThreads {
    queue: SigningQueue,
    threads: Vec<JoinHandle<()>>,
}

/// Where messages wait for the keys of a token.
#[derive(Clone)]
pub(crate) struct SigningQueue(Arc<Queue>);

/// How often everything that is ready to run goes before a fast key, while messages come to it: some milliseconds on a busy
/// server, and nothing on an idle one.
const ROUNDS_MAX: usize = 8;

type Reply = oneshot::Sender<Result<SignatureDocuments, SignerError>>;
type Answer = oneshot::Receiver<Result<SignatureDocuments, SignerError>>;

/// A message that waits for its signature.
struct Job {
    identity: Arc<SigningIdentity>,
    parts: Vec<Digest>,
    reply: Reply,
}

struct Queue {
    bounds: Bounds,
    clock: Clock,
    state: Mutex<State>,
    /// Told when a message comes, and at the end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// For the threads.
    waiting: VecDeque<Job>,
    /// For whoever of those who brought them runs next.
    ready: VecDeque<Job>,
    closed: bool,
}

impl SigningThreads {
    pub(crate) fn start(token: &str, bounds: Bounds, clock: Clock) -> std::io::Result<Self> {
        let queue = Arc::new(Queue { bounds, clock, state: Mutex::default(), changed: Condvar::new() });
        let start = |_| {
            let queue = queue.clone();
            thread::Builder::new().name(format!("sign-{token}")).spawn(move || queue.work())
        };
        let threads = (0..bounds.at_once).map(start).collect::<Result<_, _>>()?;
        Ok(Self { queue: SigningQueue(queue), threads })
    }

    pub(crate) fn queue(&self) -> &SigningQueue {
        &self.queue
    }
}

impl Drop for SigningThreads {
    fn drop(&mut self) {
        let SigningQueue(queue) = &self.queue;
        queue.lock().closed = true;
        queue.changed.notify_all();
        for thread in self.threads.drain(..) {
            // One that has panicked has said so, and there is nothing left to finish.
            let _ = thread.join();
        }
    }
}

impl SigningQueue {
    /// Lets `identity` sign a message, and wait for that if need be: `parts` are the SHA-512 digests of its parts.
    ///
    /// # Cancellation
    /// A message that nobody waits for any more is not signed, unless that has begun.
    pub(crate) async fn sign(
        &self,
        identity: Arc<SigningIdentity>,
        parts: Vec<Digest>,
    ) -> Result<SignatureDocuments, SignerError> {
        let Self(queue) = self;
        let (reply, answer) = oneshot::channel();
        let job = Job { identity, parts, reply };
        if is_fast(&*job.identity.key) {
            queue.push_ready(job)?;
            queue.sign_ready(&answer).await;
        } else {
            queue.push(job)?;
        }
        answer.await.unwrap_or(Err(SignerError::Stopped))
    }
}

impl Queue {
    fn push(&self, job: Job) -> Result<(), SignerError> {
        let mut state = self.lock();
        if state.closed {
            return Err(SignerError::Stopped);
        }
        if state.waiting.len() >= self.bounds.waiting_max {
            return Err(SignerError::Busy);
        }
        state.waiting.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Nobody is refused for want of room: whoever does this goes on to [`Self::sign_ready`], where a full batch is signed.
    fn push_ready(&self, job: Job) -> Result<(), SignerError> {
        let mut state = self.lock();
        if state.closed {
            return Err(SignerError::Stopped);
        }
        state.ready.push_back(job);
        Ok(())
    }

    /// Signs what is ready until there is `answer`, once nobody else comes or a batch is full.
    async fn sign_ready(&self, answer: &Answer) {
        let mut ready = 0;
        for _ in 0..ROUNDS_MAX {
            if self.ready() >= self.bounds.batch_max {
                break;
            }
            tokio::task::yield_now().await;
            // Who comes while others do may wait for more.
            let before = std::mem::replace(&mut ready, self.ready());
            if ready <= before || !answer.is_empty() {
                break;
            }
        }
        // What is ready then is left to those who brought it.
        while answer.is_empty()
            && let Some(batch) = self.ready_batch()
        {
            self.sign_batch(batch);
        }
    }

    fn work(&self) {
        while let Some(batch) = self.next_batch() {
            self.sign_batch(batch);
        }
    }

    /// Signs messages of one certificate, and says so to whoever waits.
    fn sign_batch(&self, batch: Vec<Job>) {
        let Some(identity) = batch.first().map(|job| job.identity.clone()) else { return };
        let (messages, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|job| (job.parts, job.reply)).unzip();
        match self.sign(&identity, &messages) {
            Ok(signed) => {
                for (reply, documents) in replies.into_iter().zip(signed) {
                    // Whoever has stopped waiting has been told why.
                    let _ = reply.send(Ok(documents));
                }
            }
            Err(reason) => {
                for reply in replies {
                    let _ = reply.send(Err(SignerError::Signature(reason.clone())));
                }
            }
        }
    }

    /// Lets all of `messages` share one signature.
    fn sign(
        &self,
        identity: &SigningIdentity,
        messages: &[Vec<Digest>],
    ) -> Result<Vec<SignatureDocuments>, Arc<SignError>> {
        sign(identity, messages, &self.clock).map_err(|reason| {
            let key = &identity.key_id;
            error!(key.id = %key, error = %ErrorChain(&reason), "Key {key} could not sign");
            Arc::new(reason)
        })
    }

    /// The message that has waited longest, and those that may share its signature. `None` at the end.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        loop {
            state.waiting.retain(|job| !job.reply.is_closed());
            match state.waiting.pop_front() {
                Some(first) => return Some(gather(first, &mut state.waiting, self.bounds.batch_max)),
                None if state.closed => return None,
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// How many messages are ready.
    fn ready(&self) -> usize {
        self.lock().ready.len()
    }

    /// The same of those that are ready. `None` if there are none any more.
    fn ready_batch(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        state.ready.retain(|job| !job.reply.is_closed());
        let first = state.ready.pop_front()?;
        Some(gather(first, &mut state.ready, self.bounds.batch_max))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a signature takes less than handing it to a thread.
fn is_fast(key: &dyn SigningKey) -> bool {
    key.is_in_memory() && key.scheme() == SignatureScheme::Ecdsa
}

/// `first` and, of those that wait, the ones with the same certificate, in their order.
fn gather(first: Job, waiting: &mut VecDeque<Job>, batch_max: usize) -> Vec<Job> {
    let mut batch = vec![first];
    for job in std::mem::take(waiting) {
        let shares = batch.len() < batch_max
            && batch.first().is_some_and(|first| Arc::ptr_eq(&first.identity, &job.identity));
        if shares { batch.push(job) } else { waiting.push_back(job) }
    }
    batch
}

fn sign(
    identity: &SigningIdentity,
    messages: &[Vec<Digest>],
    clock: &Clock,
) -> Result<Vec<SignatureDocuments>, SignError> {
    let signer = MessageSigner {
        scheme: identity.key.scheme(),
        certificate: &identity.certificate,
        intermediates: &identity.intermediates,
        ocsp_answers: &identity.ocsp_answers,
    };
    let pending = PendingSignature::new(&signer, messages, clock.now())?;
    let value = identity.key.sign_digest(pending.digest()).map_err(SignError::Key)?;
    // A device may fail, or hold another key by now, and that is to show here and not at a peer. A key in memory was
    // compared with its record, and so with its certificate, when it was opened.
    match identity.key.is_in_memory() {
        true => Ok(pending.complete_unchecked(&value)),
        false => pending.complete(&value),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::FutureExt;
    use jiff::Timestamp;
    use uuk_pki::{CertificateUse, KeyError};

    use super::*;
    use crate::config::TokenConfig;
    use crate::sample::{World, digests, generate, login, member};
    use crate::signer::Signer;
    use crate::token::KeyAlgorithm;

    /// A key that signs when it is told to, and counts.
    struct SlowKey {
        key: Arc<dyn SigningKey>,
        /// The other end is told that a signature has begun, and then lets it happen.
        begun: mpsc::Sender<()>,
        go_on: Mutex<mpsc::Receiver<()>>,
        signatures: AtomicUsize,
    }

    impl SigningKey for SlowKey {
        fn scheme(&self) -> SignatureScheme {
            self.key.scheme()
        }

        fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, KeyError> {
            self.signatures.fetch_add(1, Ordering::Relaxed);
            self.begun.send(()).map_err(|_| KeyError::Signing)?;
            self.go_on.lock().unwrap().recv().map_err(|_| KeyError::Signing)?;
            self.key.sign_digest(digest)
        }
    }

    struct Site {
        world: World,
        _folder: tempfile::TempDir,
        _threads: SigningThreads,
        identity: Arc<SigningIdentity>,
        key: Arc<SlowKey>,
        begun: mpsc::Receiver<()>,
        go_on: mpsc::Sender<()>,
    }

    async fn site(batch_max: usize, waiting_max: usize) -> Site {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let signer = world.signer(folder.path());
        login(&signer).await;
        let id = generate(&signer, "software", CertificateUse::Signing, KeyAlgorithm::EcP256).await;
        let certificate = world.issue_to(&signer, &id, CertificateUse::Signing, &member("1"));
        world.take_into_use(&signer, &certificate).await;
        let found = signer.shared.identities.load();
        let usual = found.signing(&member("1"), world.clock.now()).unwrap();

        let ((begun_in, begun), (go_on, go_on_in)) = (mpsc::channel(), mpsc::channel());
        let key = Arc::new(SlowKey {
            key: usual.key.clone(),
            begun: begun_in,
            go_on: Mutex::new(go_on_in),
            signatures: AtomicUsize::new(0),
        });
        let bounds = Bounds { at_once: 1, batch_max, waiting_max };
        let threads = SigningThreads::start("slow", bounds, world.clock.clone()).unwrap();
        let identity = Arc::new(SigningIdentity {
            key_id: id,
            key: key.clone(),
            certificate,
            intermediates: usual.intermediates.clone(),
            ocsp_answers: usual.ocsp_answers.clone(),
            valid_until: Timestamp::MAX,
            queue: threads.queue().clone(),
        });
        Site { world, _folder: folder, _threads: threads, identity, key, begun, go_on }
    }

    impl Site {
        /// Lets the messages wait in this order, and one by one, so that all but the first wait for it.
        async fn sign(
            &self,
            messages: &[&[&str]],
        ) -> Vec<tokio::task::JoinHandle<Result<SignatureDocuments, SignerError>>> {
            let mut signing = Vec::new();
            for (number, parts) in messages.iter().enumerate() {
                let (identity, parts) = (self.identity.clone(), digests(parts));
                signing.push(tokio::spawn(async move { identity.queue.clone().sign(identity, parts).await }));
                if number == 0 {
                    tokio::task::yield_now().await;
                    tokio::task::block_in_place(|| self.begun.recv()).unwrap();
                }
                while self.waiting() < number {
                    tokio::task::yield_now().await;
                }
            }
            signing
        }

        fn waiting(&self) -> usize {
            self.identity.queue.0.lock().waiting.len()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn messages_that_wait_for_a_busy_key_share_a_signature() {
        let site = site(64, 1024).await;
        let texts: Vec<String> = (0..20).map(|number| format!("message {number}")).collect();
        let messages: Vec<Vec<&str>> = texts
            .iter()
            .enumerate()
            .map(
                |(number, text)| {
                    if number % 3 == 2 { vec![text.as_str(), "attachment"] } else { vec![text.as_str()] }
                },
            )
            .collect();
        let messages: Vec<&[&str]> = messages.iter().map(Vec::as_slice).collect();
        let signing = site.sign(&messages).await;
        // The first, which found the key idle, and all others.
        site.go_on.send(()).unwrap();
        site.go_on.send(()).unwrap();
        let mut alone = 0;
        for (signed, parts) in signing.into_iter().zip(messages) {
            let documents = signed.await.unwrap().unwrap();
            alone += usize::from(documents.hash_chain.is_none());
            site.world.verify(&member("1"), &documents, parts);
        }
        assert_eq!(alone, 1);
        assert_eq!(site.key.signatures.load(Ordering::Relaxed), 2);
    }

    /// A signer of the member `1` by a fast key, which takes no more than `batch_max` messages in a batch.
    async fn fast(world: &World, folder: &Path, batch_max: usize) -> Signer {
        let mut config = world.config_with(folder, TokenConfig::default());
        (config.waiting_max, config.batch_messages_max) = (1, batch_max);
        let signer = Signer::build(config, world.dependencies()).unwrap();
        login(&signer).await;
        world.enrol(&signer, "software", &member("1"), KeyAlgorithm::EcP256).await;
        signer
    }

    #[tokio::test]
    async fn messages_that_come_together_to_a_fast_key_share_a_signature() {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let signer = fast(&world, folder.path(), 64).await;
        let owner = member("1");
        let sign = |text: &'static str| signer.sign(&owner, digests(&[text]));

        let (one, two, three) = tokio::join!(sign("1"), sign("2"), sign("3"));
        let signed = [one, two, three].map(Result::unwrap);
        assert!(signed.iter().all(|documents| documents.signatures == signed[0].signatures));
        for (documents, text) in signed.iter().zip(["1", "2", "3"]) {
            world.verify(&owner, documents, &[text]);
        }
        assert_eq!(sign("alone").await.unwrap().hash_chain, None);
    }

    #[tokio::test]
    async fn a_fast_key_signs_a_full_batch_at_once_and_is_busy_for_nobody() {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let signer = fast(&world, folder.path(), 2).await;
        let owner = member("1");
        let sign = |text: &'static str| signer.sign(&owner, digests(&[text]));

        let (mut one, mut two, mut three) = (Box::pin(sign("1")), Box::pin(sign("2")), Box::pin(sign("3")));
        assert!(one.as_mut().now_or_never().is_none(), "others may come");
        let two = two.as_mut().now_or_never().expect("with it the batch is full").unwrap();
        assert!(three.as_mut().now_or_never().is_none(), "others may come");
        let one = one.await.unwrap();
        assert_eq!(one.signatures, two.signatures);
        let three = three.await.unwrap();
        for (documents, text) in [(one, "1"), (two, "2"), (three, "3")] {
            world.verify(&owner, &documents, &[text]);
        }
    }

    #[tokio::test]
    async fn messages_that_nobody_waits_for_take_no_room_before_a_fast_key() {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let signer = fast(&world, folder.path(), 3).await;
        let owner = member("1");
        for _ in 0..8 {
            let _ = Box::pin(signer.sign(&owner, digests(&["given up"]))).as_mut().now_or_never();
        }
        let identities = signer.shared.identities.load();
        let identity = identities.signing(&owner, world.clock.now()).unwrap();
        assert!(identity.queue.0.ready() < 3);
        assert_eq!(signer.sign(&owner, digests(&["alone"])).await.unwrap().hash_chain, None);
        assert_eq!(identity.queue.0.ready(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_batch_has_no_more_messages_than_it_may() {
        let site = site(2, 1024).await;
        let messages: [&[&str]; 6] = [&["0"], &["1"], &["2"], &["3"], &["4"], &["5"]];
        let signing = site.sign(&messages).await;
        for _ in 0..4 {
            site.go_on.send(()).unwrap();
        }
        for (signed, parts) in signing.into_iter().zip(messages) {
            site.world.verify(&member("1"), &signed.await.unwrap().unwrap(), parts);
        }
        assert_eq!(site.key.signatures.load(Ordering::Relaxed), 4, "1, 2, 2 and 1");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn refuses_what_no_longer_fits_into_the_queue() {
        let site = site(64, 2).await;
        let signing = site.sign(&[&["0"], &["1"], &["2"]]).await;
        let refused = site.identity.queue.sign(site.identity.clone(), digests(&["3"])).await.unwrap_err();
        assert_eq!(refused.code(), "signer.busy");
        site.go_on.send(()).unwrap();
        site.go_on.send(()).unwrap();
        for signed in signing {
            signed.await.unwrap().unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_stops_waiting_is_not_signed() {
        let site = site(64, 1024).await;
        let mut signing = site.sign(&[&["0"], &["1"]]).await;
        let waiting = signing.pop().unwrap();
        waiting.abort();
        let _ = waiting.await;
        site.go_on.send(()).unwrap();
        for signed in signing {
            signed.await.unwrap().unwrap();
        }
        while site.waiting() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(site.key.signatures.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_key_that_fails_is_told_to_everyone_who_waited() {
        let site = site(64, 1024).await;
        let signing = site.sign(&[&["0"], &["1"], &["2"]]).await;
        let Site { go_on, _threads, _folder, .. } = site;
        drop(go_on);
        for signed in signing {
            let error = signed.await.unwrap().unwrap_err();
            assert_eq!((error.code(), error.xroad_code()), ("signer.signature", "signer.cannot_sign"));
        }
    }
}
