//! Which answers and faults of an adapter may leave.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use uuk_contract::{Answer, AnswerProblem, Contract, FieldProblem, Limits, Problem};

fn answer(operation: &str, media_type: &str, data: &str) -> Result<Answer, AnswerProblem> {
    let contract = Contract::from_openapi(include_bytes!("../testdata/accept/people.yaml")).unwrap();
    let operation = contract.operation(operation).unwrap();
    operation.answer(media_type, data.as_bytes().to_vec(), &Limits::default())
}

fn fault(operation: &str, status: u16, code: &'static str) -> Result<Answer, AnswerProblem> {
    let contract = Contract::from_openapi(include_bytes!("../testdata/accept/people.yaml")).unwrap();
    let problem = Problem::new(status, code, "nobody bears this number");
    contract.operation(operation).unwrap().fault(&problem)
}

const PERSON: &str = r#"{"pin":"12345678901234","surname":"Асанов", "birth_date":null}"#;

#[test]
fn passes_a_valid_answer_on_as_it_is() {
    let answer = answer("get", "application/json; charset=utf-8", PERSON).unwrap();
    assert_eq!((answer.status(), answer.media_type()), (200, Some("application/json")));
    assert_eq!(answer.into_body(), PERSON.as_bytes());
}

#[test]
fn passes_an_answer_without_content_on() {
    let answer = answer("correct", "", "").unwrap();
    assert_eq!((answer.status(), answer.media_type(), answer.body()), (204, None, b"".as_slice()));
}

#[test]
fn refuses_content_the_contract_does_not_declare() {
    assert_eq!(answer("correct", "application/json", "{}"), Err(AnswerProblem::ContentUndeclared));
}

#[test]
fn refuses_an_answer_that_does_not_fit_the_schema() {
    let problem = answer("get", "application/json", r#"{"pin":"1","name":"x"}"#).unwrap_err();
    assert_eq!(problem.code(), "contract.answer_invalid");
    let AnswerProblem::Invalid { problems } = problem else { panic!("{problem}") };
    let pointers: Vec<_> = problems.iter().map(|problem| &*problem.pointer).collect();
    assert_eq!(pointers, ["/surname", "/pin", "/name"]);
}

#[test]
fn looks_into_the_form_that_was_meant() {
    let with_mother = r#"{"pin":"12345678901234","surname":"A","mother":{"pin":"12345678901234"}}"#;
    let problems = vec![FieldProblem::new("/mother/surname", "required", "is missing")];
    assert_eq!(answer("get", "application/json", with_mother), Err(AnswerProblem::Invalid { problems }));
}

#[test]
fn refuses_an_answer_that_is_not_json() {
    let problem = answer("get", "application/json", r#"{"pin":1,"pin":1}"#).unwrap_err();
    assert_eq!(problem.code(), "contract.answer_malformed");
    assert_eq!(problem.to_string(), "the answer at `/pin` is given twice");
    assert!(matches!(answer("get", "application/json", ""), Err(AnswerProblem::Malformed(_))));
}

#[test]
fn refuses_an_answer_of_another_media_type() {
    assert_eq!(answer("get", "text/plain", PERSON), Err(AnswerProblem::MediaType));
}

#[test]
fn refuses_an_answer_beyond_the_size_limit() {
    let long = format!("{PERSON}{}", " ".repeat(1024 * 1024));
    assert_eq!(
        answer("get", "application/json", &long),
        Err(AnswerProblem::TooLarge { bytes_max: 1024 * 1024 })
    );
}

#[test]
fn passes_a_declared_fault_on_as_a_problem() {
    let answer = fault("get", 404, "PERSON_NOT_FOUND").unwrap();
    assert_eq!((answer.status(), answer.media_type()), (404, Some("application/problem+json")));
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!((&body["code"], &body["title"]), (&"PERSON_NOT_FOUND".into(), &"Not Found".into()));
}

#[test]
fn refuses_a_fault_the_contract_does_not_declare() {
    let problem = fault("get", 409, "PERSON_NOT_FOUND").unwrap_err();
    assert_eq!(problem, AnswerProblem::FaultUndeclared { status: 409 });
    assert_eq!(problem.code(), "contract.answer_fault_undeclared");
}

#[test]
fn refuses_a_fault_with_a_code_the_contract_does_not_allow() {
    let problem = fault("get", 404, "GONE").unwrap_err();
    let problems = vec![FieldProblem::new("/code", "enum", "must be one of \"PERSON_NOT_FOUND\"")];
    assert_eq!(problem, AnswerProblem::FaultInvalid { status: 404, problems });
}

#[test]
fn takes_a_class_or_default_for_statuses_not_declared_by_themselves() {
    assert!(fault("correct", 409, "CONFLICT").is_ok());
    assert!(fault("correct", 500, "BROKEN").is_err());
    assert!(fault("search", 500, "BROKEN").is_ok());
}

#[test]
fn prints_no_content_of_an_answer() {
    let answer = answer("get", "application/json", PERSON).unwrap();
    assert!(!format!("{answer:?}").contains("1234"));
}
