use uuk_central::{
    Classification, Contact, InformationSystem, LANGUAGES, ServiceDescription, ServiceLevel, Texts,
};
use uuk_identifiers::{ServiceId, SubsystemId};

use crate::world::*;

const SERVICE: &str = "KG/GOV/70000001/registry/person";
const CONTRACT: &str = r#"{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/ping":{"get":{
    "operationId":"ping","responses":{"200":{"description":"d","content":{"application/json":{"schema":{
        "type":"object","properties":{"name":{"type":"string"}}}}}}}}}}}"#;

fn texts(text: &str) -> Texts {
    LANGUAGES.iter().map(|language| ((*language).to_owned(), text.to_owned())).collect()
}

fn description(title: &str) -> ServiceDescription {
    ServiceDescription {
        service: SERVICE.parse().unwrap(),
        resource: None,
        title: texts(title),
        description: texts("Учёт жителей"),
        legal_basis: "Law".into(),
        tariff: "free".into(),
        service_level: ServiceLevel {
            down_minutes_per_month_max: 40,
            answer_time_ms: 500,
            decision_days: 10,
        },
        support: vec![Contact { name: "Desk".into(), phone: None, mail: None }],
        classification: [("/ping/answer/name".to_owned(), Classification::Personal)].into(),
        samples: [("ping".to_owned(), serde_json::json!({ "name": "Invented" }))].into(),
    }
}

#[tokio::test]
async fn both_databases_find_the_same_by_the_beginning_of_words() {
    for kind in [Database::Sqlite, Database::Postgres] {
        let world = World::new().await;
        let Some((config, _server)) = database(kind, world.folder.path()) else { continue };
        let central = world.central(&config).await;
        let mut registry = world.registry();
        let provider: SubsystemId = SUBSYSTEM.parse().unwrap();
        let (title, about) = (texts("Population"), texts("Who lives here"));
        let system = InformationSystem { title, description: about, resources: Default::default() };
        registry.set_information_system(&provider, system).unwrap();
        central.found(&actor(), registry).await.unwrap();
        let id: ServiceId = SERVICE.parse().unwrap();
        for title in ["Register of people", "Register of persons"] {
            central.draft_service(&actor(), description(title), CONTRACT.as_bytes()).await.unwrap();
            central.publish_service(&actor(), &id, false).await.unwrap();
        }
        let counts = async |question: &str| central.search_catalog(question).await.unwrap().len();
        for question in ["pers", "УЧЕТ жит", "reg persons 70000001"] {
            assert_eq!(counts(question).await, 1, "{kind:?}: {question}");
        }
        // Of the edition before, nothing is left.
        for question in ["people", "persons absent"] {
            assert_eq!(counts(question).await, 0, "{kind:?}: {question}");
        }
    }
}
