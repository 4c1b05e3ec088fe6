use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use uuk_process::{Clock, Secret};

use crate::audit::{Actor, AuditEntry, AuditError, AuditPage, AuditRow, Head};
use crate::config::DatabaseConfig;
use crate::letters::Telling;
use crate::people::PasswordHashers;
use crate::registry::{DamagedRow, Edit, Refusal, Registry};
use crate::store::{Change, FileEdit, Record, Store, StoreError};

/// Of two that change the registry at once, one begins anew.
const CHANGE_ATTEMPTS_MAX: u32 = 20;
/// Entries of the audit log that are read at once.
const ENTRIES_AT_ONCE: u32 = 500;
/// Entries that are shown at once.
const ENTRIES_SHOWN_MAX: u32 = 100;
/// Entries that are looked through at once for a text.
const ENTRIES_SEARCHED_MAX: i64 = 50_000;
/// A password is shorter.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// Why the registry was not read or changed.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "central.")]
#[non_exhaustive]
pub enum CentralError {
    /// The file of a password cannot be read.
    #[error("cannot read the password in {}", path.display())]
    Password {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no instance yet.
    #[error("there is no instance in this database")]
    NoInstance,
    /// There is one already, with members that rely on it.
    #[error("there is an instance in this database already")]
    InstanceExists,
    /// The change is not one that may be made.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Others change the registry all the time.
    #[error("the registry changes all the time; try again")]
    Busy,
    /// Someone had their hands in the audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What is registered cannot be written in JSON.
    #[error("what is registered cannot be written")]
    Unwritable(#[source] serde_json::Error),
}

impl CentralError {
    /// The stable code: of the cause, if there is one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Refused(refusal) => refusal.code(),
            Self::Audit(error) => error.code(),
            other => other.into(),
        }
    }
}

/// The registry in its database. Several processes may have it open at once.
#[derive(Debug)]
pub struct Central {
    store: Store,
    clock: Clock,
    hashers: PasswordHashers,
    /// Held while wrong passwords and codes are counted.
    counting: tokio::sync::Mutex<()>,
    /// The registry as this process last saw it.
    seen: Mutex<Option<Snapshot>>,
}

/// What is kept beside the registry, in JSON.
pub(crate) trait Recorded: Serialize + DeserializeOwned {
    /// What the table and the audit log call it.
    const KIND: &'static str;

    /// What the audit log tells of it: no secrets, and nothing that grows.
    fn told(&self) -> Value;

    /// What people are told once it is so. One of a name that was told before is not told again.
    fn tellings(&self) -> Vec<Telling> {
        Vec::new()
    }
}

/// The registry at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) head: Head,
    /// What was registered then.
    pub registry: Arc<Registry>,
}

impl Central {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// [`CentralError::Password`] or [`CentralError::Store`].
    pub async fn open(config: &DatabaseConfig, clock: Clock) -> Result<Self, CentralError> {
        let password = config.password_file.as_deref().map(read_password).transpose()?;
        let store = Store::open(&config.url, password.as_ref()).await?;
        Ok(Self {
            store,
            clock,
            hashers: PasswordHashers::default(),
            counting: Default::default(),
            seen: Mutex::default(),
        })
    }

    /// The time by which it goes.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Held by whoever counts a wrong password or code: of guesses that come at once, each is one.
    pub(crate) async fn counting(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.counting.lock().await
    }

    pub(crate) fn hashers(&self) -> &PasswordHashers {
        &self.hashers
    }

    /// Founds an instance.
    ///
    /// # Errors
    /// [`CentralError::InstanceExists`], or if the database cannot be used.
    pub async fn found(&self, actor: &Actor, registry: Registry) -> Result<Snapshot, CentralError> {
        self.check_empty().await?;
        let committed = self.commit(&Head::start(), None, actor, "found-instance", registry).await?;
        committed.ok_or(CentralError::InstanceExists)
    }

    /// Whether an instance can be founded here.
    ///
    /// # Errors
    /// [`CentralError::InstanceExists`], or if the database cannot be used.
    pub async fn check_empty(&self) -> Result<(), CentralError> {
        match self.store.head().await? == Head::start() {
            true => Ok(()),
            false => Err(CentralError::InstanceExists),
        }
    }

    /// The registry as it is now.
    ///
    /// # Errors
    /// [`CentralError::NoInstance`], or if the database cannot be used.
    pub async fn snapshot(&self) -> Result<Snapshot, CentralError> {
        let mut seen = self.seen.lock().await;
        if let Some(seen) = &*seen
            && self.store.head().await? == seen.head
        {
            return Ok(seen.clone());
        }
        let (head, registry) = self.store.load().await?;
        let snapshot = Snapshot { head, registry: Arc::new(registry.ok_or(CentralError::NoInstance)?) };
        *seen = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// Changes the registry and notes in the audit log who did what, both or neither. `act` names the change, and
    /// `change` may be asked again, of a registry that others have changed meanwhile.
    ///
    /// # Errors
    /// [`CentralError::Refused`] with the reason of `change`, or if the database cannot be used.
    pub async fn change<T>(
        &self,
        actor: &Actor,
        act: &str,
        mut change: impl FnMut(&mut Registry) -> Result<T, Refusal>,
    ) -> Result<T, CentralError> {
        for _ in 0..CHANGE_ATTEMPTS_MAX {
            let Snapshot { head, registry: before } = self.snapshot().await?;
            let mut after = Registry::clone(&before);
            let result = change(&mut after)?;
            if self.commit(&head, Some(&before), actor, act, after).await?.is_some() {
                return Ok(result);
            }
        }
        Err(CentralError::Busy)
    }

    /// Reads the audit log from its beginning, and gives its entries to `see` as far as every one before holds.
    ///
    /// # Errors
    /// [`CentralError::Audit`] for the first that does not, or if the database cannot be used.
    pub async fn audit(&self, mut see: impl FnMut(AuditEntry)) -> Result<(), CentralError> {
        let mut head = Head::start();
        loop {
            let rows = self.store.audit(head.number, ENTRIES_AT_ONCE).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                see(head.verify(row)?);
            }
        }
    }

    /// Entries of the audit log below the number `before`, newest first, of those that have the text `contains` somewhere.
    /// It looks at so many at once; without an entry among them, it says where to go on.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn audit_before(&self, before: Option<i64>, contains: &str) -> Result<AuditPage, CentralError> {
        let end = self.store.head().await?.number.saturating_add(1);
        let before = before.unwrap_or(end).clamp(1, end);
        let from = before.saturating_sub(ENTRIES_SEARCHED_MAX).max(1);
        // As it stands in the JSON of an entry.
        let quoted = serde_json::to_string(contains).map_err(CentralError::Unwritable)?;
        let contains = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        let rows = self.store.audit_between(from, before, contains, ENTRIES_SHOWN_MAX).await?;
        let is_full = rows.len() == ENTRIES_SHOWN_MAX as usize;
        let first = if is_full { rows.last().map_or(from, |row| row.number) } else { from };
        let read = |row: AuditRow| {
            let damaged = DamagedRow { kind: "audit".to_owned(), id: row.number.to_string() };
            serde_json::from_str(&row.content).map_err(|_| CentralError::from(StoreError::from(damaged)))
        };
        let entries = rows.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(AuditPage { entries, next: (first > 1).then_some(first) })
    }

    /// Notes that somebody was refused what they may not do.
    ///
    /// # Errors
    /// If the database cannot be used.
    pub async fn note_denied(&self, actor: &Actor, action: &str, object: &str) -> Result<(), CentralError> {
        for _ in 0..CHANGE_ATTEMPTS_MAX {
            let head = self.store.head().await?;
            let edit = Edit { kind: "denied".to_owned(), id: object.to_owned(), before: None, after: None };
            let (_, row) = self.entry(&head, actor, &format!("denied-{action}"), vec![edit])?;
            if self.store.commit(&row, &Change::default()).await? {
                return Ok(());
            }
        }
        Err(CentralError::Busy)
    }

    /// Changes a record, and notes who did so, both or neither. `act` names the change, and `change` may be asked
    /// again, of a record that others have changed meanwhile; it makes one of nothing if there was none.
    pub(crate) async fn change_record<R: Recorded, E: From<CentralError>>(
        &self,
        actor: &Actor,
        act: &str,
        id: &str,
        change: impl FnMut(Option<R>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.change_record_and_files(actor, act, id, &[], change).await
    }

    /// As [`Central::change_record`], with files that come or go with it.
    pub(crate) async fn change_record_and_files<R: Recorded, E: From<CentralError>>(
        &self,
        actor: &Actor,
        act: &str,
        id: &str,
        files: &[FileEdit],
        mut change: impl FnMut(Option<R>) -> Result<R, E>,
    ) -> Result<R, E> {
        for _ in 0..CHANGE_ATTEMPTS_MAX {
            // The end of the log comes first: what is read after it and changed meanwhile is not overwritten.
            let head = self.store.head().await.map_err(CentralError::from)?;
            let before: Option<R> = self.record(id).await?;
            let told_before = before.as_ref().map(R::told);
            let after = change(before)?;
            if self.commit_record(&head, actor, act, id, told_before, &after, files).await? {
                return Ok(after);
            }
        }
        Err(CentralError::Busy.into())
    }

    /// Adds a record and its files, and notes who did so, all or nothing. Its name is the number after the last of its
    /// kind; `make` is given that and all that there are, and may be asked again.
    pub(crate) async fn add_record<R: Recorded, E: From<CentralError>>(
        &self,
        actor: &Actor,
        act: &str,
        files: &[FileEdit],
        mut make: impl FnMut(u64, Vec<R>) -> Result<R, E>,
    ) -> Result<R, E> {
        for _ in 0..CHANGE_ATTEMPTS_MAX {
            let head = self.store.head().await.map_err(CentralError::from)?;
            let known = self.records::<R>().await?;
            let last = known.iter().filter_map(|(id, _)| id.parse::<u64>().ok()).max().unwrap_or(0);
            let added = make(last + 1, known.into_iter().map(|(_, record)| record).collect())?;
            let id = (last + 1).to_string();
            if self.commit_record(&head, actor, act, &id, None, &added, files).await? {
                return Ok(added);
            }
        }
        Err(CentralError::Busy.into())
    }

    /// Keeps a record without noting it: what happens all the time and decides nothing.
    pub(crate) async fn keep<R: Recorded>(&self, id: &str, value: Option<&R>) -> Result<(), CentralError> {
        let content = value.map(serde_json::to_string).transpose().map_err(CentralError::Unwritable)?;
        Ok(self.store.keep(&Record { kind: R::KIND, id: id.to_owned(), content }).await?)
    }

    /// As [`Central::keep`], unless it was dropped meanwhile.
    pub(crate) async fn renew<R: Recorded>(&self, id: &str, value: &R) -> Result<(), CentralError> {
        let content = serde_json::to_string(value).map_err(CentralError::Unwritable)?;
        Ok(self.store.renew(R::KIND, id, &content).await?)
    }

    /// A record.
    pub(crate) async fn record<R: Recorded>(&self, id: &str) -> Result<Option<R>, CentralError> {
        let content = self.store.record(R::KIND, id).await?;
        content.map(|content| read_record(id, &content)).transpose()
    }

    /// All records of a kind, by name.
    pub(crate) async fn records<R: Recorded>(&self) -> Result<Vec<(String, R)>, CentralError> {
        let rows = self.store.records(R::KIND).await?;
        rows.into_iter().map(|(id, content)| Ok((id.clone(), read_record(&id, &content)?))).collect()
    }

    /// False if another change came first.
    #[expect(clippy::too_many_arguments, reason = "what the log says of a change, and what changes")]
    async fn commit_record<R: Recorded>(
        &self,
        head: &Head,
        actor: &Actor,
        act: &str,
        id: &str,
        before: Option<Value>,
        after: &R,
        files: &[FileEdit],
    ) -> Result<bool, CentralError> {
        let edit = Edit { kind: R::KIND.to_owned(), id: id.to_owned(), before, after: Some(after.told()) };
        let content = Some(serde_json::to_string(after).map_err(CentralError::Unwritable)?);
        let record = Record { kind: R::KIND, id: id.to_owned(), content };
        let (_, row) = self.entry(head, actor, act, vec![edit])?;
        let letters = self.letters_of(&after.tellings()).await?;
        let change = Change { records: &[record], files, letters: &letters, ..Change::default() };
        Ok(self.store.commit(&row, &change).await?)
    }

    /// The next entry of the audit log, and how it is stored.
    fn entry(
        &self,
        head: &Head,
        actor: &Actor,
        act: &str,
        edits: Vec<Edit>,
    ) -> Result<(AuditEntry, AuditRow), CentralError> {
        let (number, at) = (head.number + 1, self.clock.now());
        let entry = AuditEntry { number, at, actor: actor.clone(), act: act.to_owned(), edits };
        let row = head.follow(serde_json::to_string(&entry).map_err(CentralError::Unwritable)?);
        Ok((entry, row))
    }

    /// `None` if another change came first.
    async fn commit(
        &self,
        head: &Head,
        before: Option<&Registry>,
        actor: &Actor,
        act: &str,
        after: Registry,
    ) -> Result<Option<Snapshot>, CentralError> {
        let edits = after.edits_since(before).map_err(CentralError::Unwritable)?;
        let (entry, row) = self.entry(head, actor, act, edits)?;
        let tellings = before.map(|before| after.catalog().tellings_since(before.catalog(), entry.at));
        let letters = self.letters_of(&tellings.unwrap_or_default()).await?;
        let change = Change { edits: &entry.edits, letters: &letters, ..Change::default() };
        if !self.store.commit(&row, &change).await? {
            return Ok(None);
        }
        let snapshot =
            Snapshot { head: Head { number: entry.number, digest: row.digest }, registry: Arc::new(after) };
        *self.seen.lock().await = Some(snapshot.clone());
        Ok(Some(snapshot))
    }
}

fn read_record<R: Recorded>(id: &str, content: &str) -> Result<R, CentralError> {
    let damaged = |_| StoreError::from(DamagedRow { kind: R::KIND.to_owned(), id: id.to_owned() });
    Ok(serde_json::from_str(content).map_err(damaged)?)
}

/// The first line of a file.
///
/// # Errors
/// [`CentralError::Password`].
pub fn read_password(path: &Path) -> Result<Secret<String>, CentralError> {
    use std::io::Read;

    let mut text = String::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|source| CentralError::Password { path: path.to_owned(), source })?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
}
