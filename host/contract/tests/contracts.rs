//! Which contracts are read and which are refused.
//!
//! `testdata/accept` and `testdata/refuse/ERROR` hold one document per case; each refused one differs from
//! `testdata/accept/small.yaml` in one way.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use uuk_contract::{Contract, ContractError, Method, Operation, ParameterKind, Place, QueryList, Semantics};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

fn accepted(name: &str) -> Contract {
    Contract::from_openapi(&fs::read(testdata().join("accept").join(name)).unwrap()).unwrap()
}

fn refused(document: &[u8]) -> ContractError {
    Contract::from_openapi(document).unwrap_err()
}

#[test]
fn reads_every_accepted_contract() {
    for file in files(&testdata().join("accept")) {
        if let Err(error) = Contract::read(&fs::read(&file).unwrap()) {
            panic!("{}: {error}", file.display());
        }
    }
}

#[test]
fn refuses_every_refused_contract_for_its_reason() {
    let mut wrong = BTreeMap::new();
    for folder in files(&testdata().join("refuse")) {
        let expected = format!("contract.{}", folder.file_name().unwrap().to_str().unwrap());
        for file in files(&folder) {
            match Contract::read(&fs::read(&file).unwrap()) {
                Err(error) if error.code() == expected => {}
                other => {
                    wrong.insert(file, other.map(|_| "accepted").map_err(|error| error.to_string()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn refuses_a_contract_beyond_the_size_limit() {
    let document = format!("openapi: 3.1.0\n# {}", "-".repeat(4 * 1024 * 1024));
    assert!(matches!(refused(document.as_bytes()), ContractError::TooLarge { .. }));
}

#[test]
fn refuses_more_operations_than_the_limit() {
    let paths: serde_json::Map<String, Value> = (0..1001)
        .map(|index| {
            let operation =
                json!({"operationId": format!("get{index}"), "responses": {"200": {"description": ""}}});
            (format!("/p{index}"), json!({"get": operation}))
        })
        .collect();
    let document = json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths});
    assert!(matches!(
        refused(document.to_string().as_bytes()),
        ContractError::OperationsTooMany { operations_max: 1000 }
    ));
}

#[test]
fn says_where_a_contract_is_wrong() {
    let document = fs::read(testdata().join("refuse/keyword_unknown/misspelt.yaml")).unwrap();
    assert_eq!(
        refused(&document).to_string(),
        "`/components/schemas/Person/properties/surname` has the unknown keyword `maxLenght`"
    );
}

#[test]
fn lists_operations_with_what_they_take() {
    let contract = accepted("people.yaml");
    assert_eq!((contract.title(), contract.version()), ("Register of people", "1.2"));
    let ids: Vec<_> = contract.operations().iter().map(Operation::id).collect();
    assert_eq!(ids, ["get", "correct", "search", "get-mine"]);

    let get = contract.operation("get").unwrap();
    assert_eq!((get.method(), get.path(), get.semantics()), (Method::Get, "/people/{pin}", Semantics::Safe));
    assert_eq!(get.summary(), Some("One person by personal number"));
    let places: Vec<_> =
        get.parameters().iter().map(|parameter| (&*parameter.name, parameter.place)).collect();
    assert_eq!(places, [("pin", Place::Path { segment: 1 }), ("X-Purpose", Place::Header)]);

    let search = contract.operation("search").unwrap();
    let kinds: Vec<_> =
        search.parameters().iter().map(|parameter| (parameter.kind, parameter.place)).collect();
    assert_eq!(
        kinds,
        [
            (ParameterKind::String, Place::Query { list: QueryList::No }),
            (ParameterKind::String, Place::Query { list: QueryList::Repeated }),
            (ParameterKind::String, Place::Query { list: QueryList::Commas }),
            (ParameterKind::Integer, Place::Query { list: QueryList::No }),
            (ParameterKind::Boolean, Place::Query { list: QueryList::No }),
            (ParameterKind::Number, Place::Query { list: QueryList::No }),
        ]
    );
    assert_eq!(contract.operation("correct").unwrap().semantics(), Semantics::Unsafe);
    assert_eq!(contract.operation("correct").unwrap().success_status(), 204);
}

#[test]
fn gives_self_contained_schemas() {
    let contract = accepted("people.yaml");
    let get = contract.operation("get").unwrap();
    assert_eq!(
        *get.input_schema(),
        json!({
            "type": "object",
            "properties": {
                "pin": {"$ref": "#/$defs/Pin"},
                "X-Purpose": {"type": "string", "minLength": 3},
            },
            "required": ["pin"],
            "additionalProperties": false,
            "$defs": {"Pin": {"type": "string", "pattern": "^\\d{14}$"}},
        })
    );
    let output = get.output_schema().unwrap();
    assert_eq!(output["$ref"], "#/$defs/Person");
    let definitions: Vec<_> = output["$defs"].as_object().unwrap().keys().collect();
    assert_eq!(definitions, ["Person", "Pin"]);
    assert_eq!(contract.operation("correct").unwrap().output_schema(), None);
}

#[test]
fn rewrites_what_openapi_3_0_says_differently() {
    let contract = accepted("people-3.0.json");
    let body = &contract.operation("register").unwrap().input_schema()["properties"]["body"];
    assert_eq!(
        body["properties"],
        json!({
            "surname": {"type": "string"},
            "middle_name": {"type": ["string", "null"]},
            "height": {"type": "number", "exclusiveMinimum": 0},
            "children": {"type": "integer", "format": "int32", "maximum": 50, "minimum": i32::MIN},
        })
    );
}

#[test]
fn digests_the_exact_bytes() {
    let document = fs::read(testdata().join("accept/small.yaml")).unwrap();
    let mut longer = document.clone();
    longer.push(b'\n');
    let digest = Contract::from_openapi(&document).unwrap().sha256();
    assert_eq!(digest, Contract::from_openapi(&document).unwrap().sha256());
    assert_ne!(digest, Contract::from_openapi(&longer).unwrap().sha256());
}

/// The samples that X-Road's own reader is tested with. It looks at paths and methods only, so it accepts
/// documents without `operationId`, which no adapter could be written for; and of 3.1 it knows 3.1.0 alone.
#[test]
fn judges_the_samples_of_x_road() {
    let Some(folder) = uuk_testkit::fixtures::folder() else { return };
    let folder = folder.join("xroad/services/openapiparser");
    let verdicts = [
        ("valid.yaml", "contract.field_missing"),
        ("valid.json", "contract.field_missing"),
        ("v310.yaml", "contract.field_missing"),
        ("v310.json", "contract.field_missing"),
        ("valid_modified.yaml", "contract.field_missing"),
        ("invalid_version.yaml", "contract.field_missing"),
        ("invalid_version.json", "contract.version_unsupported"),
        ("duplicateendpoint.yaml", "contract.duplicate_key"),
        ("warnings.yml", "contract.path_parameter_mismatch"),
    ];
    for (name, expected) in verdicts {
        let error = refused(&fs::read(folder.join(name)).unwrap());
        assert_eq!(error.code(), expected, "{name}: {error}");
    }
}
