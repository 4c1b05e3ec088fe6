//! The registry as rows of kind, name and content, and the difference of two registries.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Registry, Settings};

const SETTINGS: &str = "settings";
const REQUESTS_RECEIVED: &str = "requests_received";

/// What a change did to one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// What is registered: `member`, `server`, …
    pub kind: String,
    /// Its name among those.
    pub id: String,
    /// What it was; nothing if it is new.
    pub before: Option<Value>,
    /// What it is; nothing if it is gone.
    pub after: Option<Value>,
}

/// A row is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("the row of {kind} `{id}` is damaged")]
pub struct DamagedRow {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub id: String,
}

impl Registry {
    /// Puts together what was stored. `None` if there are no settings, which come first of all.
    pub(crate) fn from_rows(rows: Vec<(String, String, String)>) -> Result<Option<Self>, DamagedRow> {
        let Some((kind, id, content)) = rows.iter().find(|(kind, ..)| kind == SETTINGS) else {
            return Ok(None);
        };
        let settings: Settings =
            serde_json::from_str(content).map_err(|_| DamagedRow { kind: kind.clone(), id: id.clone() })?;
        let mut registry = Self::empty(settings);
        for (kind, id, content) in rows {
            registry.put(&kind, &id, &content).ok_or(DamagedRow { kind, id })?;
        }
        Ok(Some(registry))
    }

    fn put(&mut self, kind: &str, id: &str, content: &str) -> Option<()> {
        match kind {
            SETTINGS => Some(()),
            REQUESTS_RECEIVED => {
                self.requests_received = content.parse().ok()?;
                Some(())
            }
            "request" => put(&mut self.requests, id, content),
            "member_class" => put(&mut self.member_classes, id, content),
            "member" => put(&mut self.members, id, content),
            "subsystem" => put(&mut self.subsystems, id, content),
            "server" => put(&mut self.servers, id, content),
            "group" => put(&mut self.groups, id, content),
            "certification_service" => put(&mut self.certification, id, content),
            "time_stamping_service" => put(&mut self.time_stamping, id, content),
            "federated_instance" => put(&mut self.federated, id, content),
            "signing_key" => put(&mut self.signing_keys, id, content),
            _ => {
                let put = self.catalog.put(kind, id, content);
                put.or_else(|| self.bundle_trust.put(kind, id, content))
            }
        }
    }

    /// What makes `self` of `before`, which is nothing for a new instance.
    pub(crate) fn edits_since(&self, before: Option<&Self>) -> serde_json::Result<Vec<Edit>> {
        let empty = Self::empty(self.settings.clone());
        let settings = |registry: &Self| BTreeMap::from([(SETTINGS, registry.settings.clone())]);
        let settings_before = before.map(settings).unwrap_or_default();
        let before = before.unwrap_or(&empty);
        let received = |registry: &Self| BTreeMap::from([("all", registry.requests_received)]);
        let mut edits = Vec::new();
        compare(SETTINGS, &settings_before, &settings(self), &mut edits)?;
        compare(REQUESTS_RECEIVED, &received(before), &received(self), &mut edits)?;
        compare("request", &before.requests, &self.requests, &mut edits)?;
        compare("member_class", &before.member_classes, &self.member_classes, &mut edits)?;
        compare("member", &before.members, &self.members, &mut edits)?;
        compare("subsystem", &before.subsystems, &self.subsystems, &mut edits)?;
        compare("server", &before.servers, &self.servers, &mut edits)?;
        compare("group", &before.groups, &self.groups, &mut edits)?;
        compare("certification_service", &before.certification, &self.certification, &mut edits)?;
        compare("time_stamping_service", &before.time_stamping, &self.time_stamping, &mut edits)?;
        compare("federated_instance", &before.federated, &self.federated, &mut edits)?;
        compare("signing_key", &before.signing_keys, &self.signing_keys, &mut edits)?;
        self.catalog.compare(&before.catalog, &mut edits)?;
        self.bundle_trust.compare(&before.bundle_trust, &mut edits)?;
        Ok(edits)
    }
}

pub(crate) fn put<K: FromStr + Ord, V: DeserializeOwned>(
    into: &mut BTreeMap<K, V>,
    id: &str,
    content: &str,
) -> Option<()> {
    into.insert(id.parse().ok()?, serde_json::from_str(content).ok()?);
    Some(())
}

pub(crate) fn compare<K: Ord + ToString, V: PartialEq + Serialize>(
    kind: &str,
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    edits: &mut Vec<Edit>,
) -> serde_json::Result<()> {
    let mut edit = |id: &K, before: Option<&V>, after: Option<&V>| {
        let (kind, id) = (kind.to_owned(), id.to_string());
        let [before, after] = [before, after].map(|value| value.map(serde_json::to_value).transpose());
        edits.push(Edit { kind, id, before: before?, after: after? });
        Ok(())
    };
    for (id, gone) in before.iter().filter(|(id, _)| !after.contains_key(id)) {
        edit(id, Some(gone), None)?;
    }
    for (id, value) in after.iter().filter(|(id, value)| before.get(id) != Some(value)) {
        edit(id, before.get(id), Some(value))?;
    }
    Ok(())
}
