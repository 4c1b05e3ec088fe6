use std::time::Duration;

use uuk_central::{
    Audience, CertificationService, ClientState, Refusal, Registry, Settings, TimeStampingService,
};
use uuk_globalconf::Anchor;
use uuk_identifiers::MemberId;
use uuk_pki::CertificateUse;

use crate::world::*;

/// Checks that a change is refused with `code`, and has changed nothing.
#[track_caller]
fn refuses(registry: &Registry, code: &str, change: impl FnOnce(&mut Registry) -> Result<(), Refusal>) {
    let mut changed = registry.clone();
    assert_eq!(change(&mut changed).map_err(|refusal| refusal.code()), Err(code));
    assert_eq!(changed, *registry);
}

#[tokio::test]
async fn refuses_names_that_are_none() {
    let registry = World::new().await.registry();
    refuses(&registry, "registry.blank", |one| one.rename_member(&member(MEMBER), " "));
    refuses(&registry, "registry.too_long", |one| one.rename_member(&member(MEMBER), &"ү".repeat(256)));
    refuses(&registry, "registry.control_character", |one| one.rename_member(&member(MEMBER), "a\nb"));
    refuses(&registry, "registry.identifier", |one| one.set_member_class("G/V", "Government"));
    let unchecked = MemberId { instance: "KG".into(), class: "GOV".into(), code: "7%2".into() };
    refuses(&registry, "registry.identifier", |one| one.add_member(&unchecked, "A member"));
    refuses(&registry, "registry.other_instance", |one| one.add_member(&member("UZ/GOV/1"), "A member"));
}

#[tokio::test]
async fn refuses_what_is_there_already() {
    let mut registry = World::new().await.registry();
    let client = client(SUBSYSTEM);
    registry.add_client(&server(SERVER), &client).unwrap();
    let code = "registry.already_registered";
    refuses(&registry, code, |one| one.add_member(&member(MEMBER), "Another"));
    refuses(&registry, code, |one| one.add_subsystem(&subsystem(SUBSYSTEM), None));
    refuses(&registry, code, |one| one.add_server(&server(SERVER), None));
    refuses(&registry, code, |one| one.add_client(&server(SERVER), &client));
}

#[tokio::test]
async fn refuses_what_is_not_there() {
    let registry = World::new().await.registry();
    let code = "registry.not_registered";
    refuses(&registry, code, |one| one.add_member(&member("KG/COM/1"), "Of no class"));
    refuses(&registry, code, |one| one.add_subsystem(&subsystem("KG/GOV/1/a"), None));
    refuses(&registry, code, |one| one.add_server(&server("KG/GOV/1/ss1"), None));
    refuses(&registry, code, |one| one.add_client(&server(SERVER), &client("KG/GOV/1")));
    refuses(&registry, code, |one| one.remove_certificate(&server(SERVER), &no_such()));
    refuses(&registry, code, |one| one.join_group("all", &client(MEMBER)));
    refuses(&registry, code, |one| one.remove_certification_service("Other"));
    refuses(&registry, "registry.no_client", |one| one.remove_client(&server(SERVER), &client(SUBSYSTEM)));
}

#[tokio::test]
async fn refuses_to_leave_something_without_its_owner() {
    let mut registry = World::new().await.registry();
    registry.add_client(&server(SERVER), &client(SUBSYSTEM)).unwrap();
    refuses(&registry, "registry.class_in_use", |one| one.remove_member_class("GOV"));
    refuses(&registry, "registry.member_has_subsystems", |one| one.remove_member(&member(MEMBER)));
    refuses(&registry, "registry.subsystem_in_use", |one| one.remove_subsystem(&subsystem(SUBSYSTEM)));
    registry.remove_client(&server(SERVER), &client(SUBSYSTEM)).unwrap();
    registry.remove_subsystem(&subsystem(SUBSYSTEM)).unwrap();
    refuses(&registry, "registry.member_has_servers", |one| one.remove_member(&member(MEMBER)));
    registry.remove_server(&server(SERVER)).unwrap();
    registry.remove_member(&member(MEMBER)).unwrap();
    registry.remove_member_class("GOV").unwrap();
}

#[tokio::test]
async fn refuses_addresses_that_are_none() {
    let registry = World::new().await.registry();
    for address in
        ["", "a b", "ss1.example.kg:0", "ss1.example.kg:port", "-a.kg", "http://ss1.example.kg", "a..kg"]
    {
        refuses(&registry, "registry.address", |one| one.set_server_address(&server(SERVER), address));
    }
    for address in ["ss1.example.kg", "127.0.0.1:5500", "10.0.0.1", "::1", "[::1]:5500"] {
        let set = registry.clone().set_server_address(&server(SERVER), address);
        assert!(set.is_ok(), "{address}");
    }
    let service = |world: &World| TimeStampingService {
        url: "ftp://stamper.example.kg".into(),
        certificate: world.certificate(CertificateUse::Signing),
    };
    let service = service(&World::new().await);
    refuses(&registry, "registry.url", |one| one.set_time_stamping_service("Stamper", service));
}

#[tokio::test]
async fn accepts_a_servers_certificate_once() {
    let world = World::new().await;
    let mut registry = world.registry();
    let certificate = world.certificate(CertificateUse::Authentication);
    registry.add_certificate(&server(SERVER), &certificate, world.now()).unwrap();
    let again = |one: &mut Registry| one.add_certificate(&server(SERVER), &certificate, world.now());
    refuses(&registry, "registry.certificate_taken", again);
    registry.remove_certificate(&server(SERVER), &certificate.sha256()).unwrap();
    again(&mut registry).unwrap();
}

#[tokio::test]
async fn refuses_certificates_that_no_server_may_have() {
    let world = World::new().await;
    let registry = world.registry();
    let add =
        |certificate, now| move |one: &mut Registry| one.add_certificate(&server(SERVER), &certificate, now);
    let signing = world.certificate(CertificateUse::Signing);
    refuses(&registry, "certificate_path.not_for_authentication", add(signing, world.now()));
    let foreign = World::new().await.certificate(CertificateUse::Authentication);
    let refused = add(foreign, world.now())(&mut registry.clone()).unwrap_err();
    assert_eq!(refused.code(), "certificate_path.broken", "another authority of the same name");
    let own = world.certificate(CertificateUse::Authentication);
    let years_later = "2099-01-01T00:00:00Z".parse().unwrap();
    refuses(&registry, "certificate_path.expired", add(own, years_later));
}

#[tokio::test]
async fn a_server_has_a_few_certificates() {
    let world = World::new().await;
    let mut registry = world.registry();
    for _ in 0..10 {
        let certificate = world.certificate(CertificateUse::Authentication);
        registry.add_certificate(&server(SERVER), &certificate, world.now()).unwrap();
    }
    let certificate = world.certificate(CertificateUse::Authentication);
    refuses(&registry, "registry.too_many_certificates", |one| {
        one.add_certificate(&server(SERVER), &certificate, world.now())
    });
}

#[tokio::test]
async fn refuses_services_that_certify_nothing() {
    let world = World::new().await;
    let registry = world.registry();
    let service = |profile: &str| CertificationService {
        authentication_only: false,
        authorities: Vec::new(),
        certificate_profile: profile.to_owned(),
    };
    refuses(&registry, "registry.no_authority", |one| {
        one.set_certification_service("Empty", service(world.instance.authority.profile().name()))
    });
}

#[tokio::test]
async fn refuses_an_instance_without_a_source() {
    let registry = World::new().await.registry();
    let mut settings = registry.settings().clone();
    settings.sources.clear();
    refuses(&registry, "registry.no_source", |one| one.set_settings(settings));
    let other = Settings::new("UZ", "central.example.uz", client("UZ/GOV/1"));
    refuses(&registry, "registry.other_instance", |one| one.set_settings(other));
}

#[tokio::test]
async fn a_server_goes_to_a_member_that_is_its_client() {
    let mut registry = World::new().await.registry();
    let new = member("KG/GOV/70000002");
    registry.add_member(&new, "Successor").unwrap();
    refuses(&registry, "registry.no_client", |one| one.change_owner(&server(SERVER), &new));
    refuses(&registry, "registry.owner_is_client", |one| one.add_client(&server(SERVER), &client(MEMBER)));
    registry.add_client(&server(SERVER), &client("KG/GOV/70000002")).unwrap();
    registry.change_owner(&server(SERVER), &new).unwrap();
    let moved = &registry.servers()[&server("KG/GOV/70000002/ss1")];
    assert_eq!(moved.address.as_deref(), Some("ss1.example.kg"));
    assert_eq!(moved.clients.keys().collect::<Vec<_>>(), [&client(MEMBER)], "the old owner stays");
    assert!(!registry.servers().contains_key(&server(SERVER)));
}

#[tokio::test]
async fn who_is_removed_leaves_its_groups() {
    let mut registry = World::new().await.registry();
    registry.set_group("all", "All").unwrap();
    registry.join_group("all", &client(SUBSYSTEM)).unwrap();
    let with = registry.clone();
    registry.remove_subsystem(&subsystem(SUBSYSTEM)).unwrap();
    registry.leave_group("all", &client(SUBSYSTEM)).unwrap_err();
    assert_ne!(registry, with);
}

#[tokio::test]
async fn who_owns_a_server_is_not_for_anyone_to_say() {
    let registry = World::new().await.registry();
    let owners = "security-server-owners";
    refuses(&registry, "registry.owners_group", |one| one.set_group(owners, "Owners"));
    refuses(&registry, "registry.not_registered", |one| one.join_group(owners, &client(SUBSYSTEM)));
}

#[tokio::test]
async fn a_key_signs_once_everyone_knows_it() {
    let world = World::new().await;
    let mut registry = world.registry();
    let lifetime = Duration::from_secs(600);
    let old = *registry.signing_keys().keys().next().unwrap();
    let certificate = world.keys.generate("KG", world.now()).unwrap();
    let new = certificate.sha256();
    registry.announce_key(certificate, world.now()).unwrap();
    refuses(&registry, "registry.signing_key_new", |one| one.activate_key(&new, lifetime, world.now()));
    refuses(&registry, "registry.signing_key_active", |one| one.remove_key(&old));
    world.clock.advance(lifetime);
    registry.activate_key(&new, lifetime, world.now()).unwrap();
    let signs: Vec<_> = registry.signing_keys().iter().filter(|(_, key)| key.active).collect();
    assert_eq!(signs.len(), 1);
    assert_eq!(*signs[0].0, new);
    registry.remove_key(&old).unwrap();
}

#[tokio::test]
async fn a_client_rests_and_goes_on() {
    let mut registry = World::new().await.registry();
    let (server, client) = (server(SERVER), client(SUBSYSTEM));
    let rest = |one: &mut Registry| one.set_client_state(&server, &client, ClientState::Disabled);
    refuses(&registry, "registry.no_client", rest);
    registry.add_client(&server, &client).unwrap();
    rest(&mut registry).unwrap();
    assert_eq!(registry.servers()[&server].clients[&client], ClientState::Disabled);
}

#[tokio::test]
async fn refuses_anchors_that_are_none() {
    let world = World::new().await;
    let mut registry = world.registry();
    let federate = |anchor: Vec<u8>| move |registry: &mut Registry| registry.federate(&anchor).map(drop);
    let own = registry.anchor(Audience::OtherInstances, world.now());
    refuses(&registry, "registry.own_anchor", federate(own.write().into()));
    refuses(&registry, "registry.anchor_too_large", federate(vec![b' '; (64 << 10) + 1]));
    refuses(&registry, "registry.anchor_too_large", federate(vec![0xff]));
    let odd = Anchor { instance: "K/Z".to_owned(), ..own.clone() };
    refuses(&registry, "registry.identifier", federate(odd.write().into()));
    let plain = Anchor { instance: "KZ".to_owned(), ..own.clone() }.write();
    let without_sources = plain.replace("source>", "other>");
    refuses(&registry, "parameters.missing", federate(without_sources.into()));
    refuses(&registry, "registry.not_registered", |registry| registry.end_federation("KZ"));
    registry.federate(plain.as_bytes()).unwrap();
    assert_eq!(registry.federated()["KZ"].anchor, plain);
    // A newer one of the same instance takes its place.
    let newer = Anchor { instance: "KZ".to_owned(), generated_at: None, ..own }.write();
    registry.federate(newer.as_bytes()).unwrap();
    assert_eq!((registry.federated().len(), &registry.federated()["KZ"].anchor), (1, &newer));
}
