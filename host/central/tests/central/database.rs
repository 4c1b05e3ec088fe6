use std::time::Duration;

use uuk_central::joining::Party;
use uuk_central::{
    AuditEntry, Central, CentralError, DatabaseConfig, Delivery, Invited, Refusal, Role, Step, StoreError,
};
use uuk_process::{Clock, Secret};

use crate::world::*;

async fn entries(central: &Central) -> Result<Vec<AuditEntry>, CentralError> {
    let mut entries = Vec::new();
    central.audit(|entry| entries.push(entry)).await.map(|()| entries)
}

#[tokio::test]
async fn what_is_registered_is_there_for_every_process() {
    for kind in [Database::Sqlite, Database::Postgres] {
        let world = World::new().await;
        let Some((config, _server)) = database(kind, world.folder.path()) else { continue };
        let [one, other] = [world.central(&config).await, world.central(&config).await];
        assert!(matches!(one.snapshot().await, Err(CentralError::NoInstance)));
        one.found(&actor(), world.registry()).await.unwrap();
        let found_again = other.found(&actor(), world.registry()).await;
        assert!(matches!(found_again, Err(CentralError::InstanceExists)));

        let rename = async |central: &Central, name| {
            let rename = |registry: &mut uuk_central::Registry| registry.rename_member(&member(MEMBER), name);
            central.change(&actor(), "rename-member", rename).await
        };
        rename(&one, "First").await.unwrap();
        rename(&other, "Second").await.unwrap();
        for central in [&one, &other, &world.central(&config).await] {
            let snapshot = central.snapshot().await.unwrap();
            assert_eq!(snapshot.registry.members()[&member(MEMBER)].name, "Second", "{kind:?}");
        }
    }
}

#[tokio::test]
async fn of_changes_at_once_none_is_lost() {
    for kind in [Database::Sqlite, Database::Postgres] {
        let world = World::new().await;
        let Some((config, _server)) = database(kind, world.folder.path()) else { continue };
        world.central(&config).await.found(&actor(), world.registry()).await.unwrap();
        let mut changes = tokio::task::JoinSet::new();
        for number in 0..8 {
            let central = world.central(&config).await;
            changes.spawn(async move {
                let member = member(&format!("KG/GOV/{number}"));
                let add = |registry: &mut uuk_central::Registry| registry.add_member(&member, "A member");
                central.change(&actor(), "add-member", add).await
            });
        }
        for changed in changes.join_all().await {
            changed.unwrap();
        }
        let central = world.central(&config).await;
        assert_eq!(central.snapshot().await.unwrap().registry.members().len(), 9, "{kind:?}");
        assert_eq!(entries(&central).await.unwrap().len(), 9, "{kind:?}");
    }
}

#[tokio::test]
async fn the_audit_log_says_who_changed_what() {
    let world = World::new().await;
    let (config, _) = database(Database::Sqlite, world.folder.path()).unwrap();
    let central = world.central(&config).await;
    central.found(&actor(), world.registry()).await.unwrap();
    let rename = |registry: &mut uuk_central::Registry| registry.rename_member(&member(MEMBER), "New");
    central.change(&actor(), "rename-member", rename).await.unwrap();
    let refused: Result<(), _> = central.change(&actor(), "add-member", |_| Err(Refusal::NoSource)).await;
    assert!(matches!(refused, Err(CentralError::Refused(Refusal::NoSource))));

    let entries = entries(&central).await.unwrap();
    let acts: Vec<_> = entries.iter().map(|entry| entry.act.as_str()).collect();
    assert_eq!(acts, ["found-instance", "rename-member"], "what is refused changes nothing");
    let [edit] = entries[1].edits.as_slice() else { panic!("{:?}", entries[1]) };
    assert_eq!((edit.kind.as_str(), edit.id.as_str()), ("member", MEMBER));
    assert_eq!(edit.before.as_ref().unwrap()["name"], "Registry of people");
    assert_eq!(edit.after.as_ref().unwrap()["name"], "New");
    assert_eq!(entries[1].actor, actor());
    assert_eq!(entries[1].at, world.now());
}

#[tokio::test]
async fn a_changed_audit_log_is_noticed() {
    let Some((config, Some(server))) = ({
        let folder = tempfile::tempdir().unwrap().keep();
        database(Database::Postgres, &folder)
    }) else {
        return;
    };
    let world = World::new().await;
    let central = world.central(&config).await;
    central.found(&actor(), world.registry()).await.unwrap();
    let name = config.url.rsplit('/').next().unwrap();
    server.execute(name, "UPDATE audit SET content = replace(content, 'uid:1000', 'uid:1')").unwrap();
    let found = entries(&central).await.unwrap_err();
    assert_eq!(found.code(), "audit.altered");
}

#[tokio::test]
async fn refuses_addresses_of_databases_that_are_none() {
    let open = async |url: &str| {
        let config = DatabaseConfig { url: url.to_owned(), password_file: None };
        Central::open(&config, Clock::system()).await.unwrap_err()
    };
    let found = open("mysql://localhost/central").await;
    assert!(matches!(found, CentralError::Store(StoreError::Address)), "{found}");
    let found = open("postgres://uuk:secret@localhost/central").await;
    assert!(matches!(found, CentralError::Store(StoreError::PasswordInAddress)), "{found}");
}

#[tokio::test]
async fn people_and_procedures_are_kept_in_either_database() {
    for kind in [Database::Sqlite, Database::Postgres] {
        let world = World::new().await;
        let Some((config, _server)) = database(kind, world.folder.path()) else { continue };
        let central = world.central(&config).await;
        central.found(&actor(), world.registry()).await.unwrap();
        let joining = member("KG/GOV/70000002");
        let invited = Invited {
            name: "asanova".into(),
            full_name: "A. Asanova".into(),
            roles: [Role::Head].into(),
            member: Some(joining.clone()),
            mail: None,
            language: None,
            until: None,
        };
        let invitation = central.invite(&actor(), &invited).await.unwrap();
        let password = Secret::new("correct horse battery".to_owned());
        let passed = central.accept_invitation(invitation.expose(), password).await.unwrap();
        central.begin_joining(&actor(), &joining, "uz-iip").await.unwrap();

        let other = world.central(&config).await;
        let seen = other.session(passed.session.expose()).await.unwrap();
        assert_eq!(seen.as_ref(), Some(&passed.person), "{kind:?}");
        assert_eq!(other.joining(1).await.unwrap().member, joining, "{kind:?}");
        other.dismiss(&actor(), "asanova").await.unwrap();
        assert_eq!(central.session(passed.session.expose()).await.unwrap(), None, "{kind:?}");
        let audit = format!("{:?}", entries(&central).await.unwrap());
        for secret in ["argon2", "correct horse", invitation.expose(), passed.session.expose()] {
            assert!(!audit.contains(secret), "{kind:?}: the audit log has {secret}");
        }
    }
}

#[tokio::test]
async fn a_letter_is_kept_with_its_change_and_taken_by_one_node_in_either_database() {
    for kind in [Database::Sqlite, Database::Postgres] {
        let world = World::new().await;
        let Some((config, _server)) = database(kind, world.folder.path()) else { continue };
        let (one, other) = (world.central(&config).await, world.central(&config).await);
        one.found(&actor(), world.registry()).await.unwrap();
        let invited = Invited {
            name: "bekov".into(),
            full_name: "B. Bekov".into(),
            roles: [Role::Operator].into(),
            member: None,
            mail: Some("bekov@operator.example".parse().unwrap()),
            language: None,
            until: None,
        };
        one.invite(&actor(), &invited).await.unwrap();
        one.begin_joining(&actor(), &member("KG/GOV/70000002"), "uz-iip").await.unwrap();
        let applicant = (Party::Applicant, "A. Asanova");
        let refused = one.advance(&actor(), 1, applicant, Step::ReportKeys).await;
        assert!(refused.is_err(), "{kind:?}");
        assert_eq!(one.unsent_letters(9).await.unwrap(), [], "{kind:?}");
        one.advance(&actor(), 1, applicant, Step::Withdraw).await.unwrap();

        let (first, second) = tokio::join!(one.take_letter(), other.take_letter());
        let taken: Vec<_> = [first.unwrap(), second.unwrap()].into_iter().flatten().collect();
        let [letter] = taken.as_slice() else { panic!("{kind:?}: {taken:?}") };
        assert_eq!(letter.person.name, "bekov", "{kind:?}");
        // A node that ends before it has sent the letter leaves it to the others.
        world.clock.advance(Duration::from_secs(301));
        let letter = other.take_letter().await.unwrap().unwrap();
        other.settle_letter(&letter, &Delivery::Taken).await.unwrap();
        world.clock.advance(Duration::from_secs(24 * 3600));
        assert!(one.take_letter().await.unwrap().is_none(), "{kind:?}");
        let told = format!("{:?}", entries(&one).await.unwrap());
        assert!(!told.contains("operator.example"), "{kind:?}: the audit log has the address");
    }
}

#[tokio::test]
async fn the_audit_log_is_looked_through_from_its_end_in_either_database() {
    for kind in [Database::Sqlite, Database::Postgres] {
        let world = World::new().await;
        let Some((config, _server)) = database(kind, world.folder.path()) else { continue };
        let central = world.central(&config).await;
        central.found(&actor(), world.registry()).await.unwrap();
        for number in 0..250 {
            let object = if number % 100 == 7 { "50% of “all”\\" } else { "people" };
            central.note_denied(&actor(), "see-people", object).await.unwrap();
        }

        let mut numbers = Vec::new();
        let mut before = None;
        loop {
            let page = central.audit_before(before, "").await.unwrap();
            assert!((1..=100).contains(&page.entries.len()), "{kind:?}: {}", page.entries.len());
            numbers.extend(page.entries.iter().map(|entry| entry.number));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(numbers, (1..=251).rev().collect::<Vec<_>>(), "{kind:?}");

        let found = async |text: &str| {
            let page = central.audit_before(None, text).await.unwrap();
            assert_eq!(page.next, None, "{kind:?}");
            page.entries.iter().map(|entry| entry.number).collect::<Vec<_>>()
        };
        // What means something in SQL or JSON is looked for as it is.
        for text in ["50% of “all”\\", "50%", "“all", "l”\\"] {
            assert_eq!(found(text).await, [209, 109, 9], "{kind:?}: {text}");
        }
        assert_eq!(found("5_%").await, [0; 0], "{kind:?}");
        assert_eq!(found("found-instance").await, [1], "{kind:?}");
        for beyond in [i64::MIN, 0, 1] {
            assert!(central.audit_before(Some(beyond), "").await.unwrap().entries.is_empty(), "{kind:?}");
        }
        assert_eq!(
            central.audit_before(Some(i64::MAX), "").await.unwrap().entries[0].number,
            251,
            "{kind:?}"
        );
    }
}
