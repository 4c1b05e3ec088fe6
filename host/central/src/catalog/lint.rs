//! Whether a description is fit to be published.

use std::collections::BTreeSet;

use uuk_contract::{AnswerProblem, Contract, ContractError, Limits};

use super::description::{Classification, LANGUAGES, ServiceDescription, Texts};
use super::fields::fields;
use super::privacy::privacy_flaws;

/// Why a description is not fit to be published.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "catalog_entry.")]
#[non_exhaustive]
pub enum Flaw {
    /// The contract is none, or refers to what is not in it.
    #[error("the contract cannot be read")]
    Contract(#[source] Box<ContractError>),
    /// Nobody could classify them.
    #[error("the contract has too many fields, or they nest too deep")]
    TooManyFields,
    /// A text is missing in a language.
    #[error("`{at}` has no text in `{language}`")]
    TextMissing {
        /// Which text.
        at: String,
        /// In which language.
        language: &'static str,
    },
    /// A text is in a language that the catalog has not.
    #[error("`{at}` has a text in `{language}`, which is no language of the catalog")]
    LanguageUnknown {
        /// Which text.
        at: String,
        /// What it says.
        language: String,
    },
    /// Nothing is said.
    #[error("`{at}` is blank")]
    Blank {
        /// What.
        at: &'static str,
    },
    /// Nobody has said what the field is.
    #[error("the field `{field}` is not classified")]
    Unclassified {
        /// Its JSON Pointer.
        field: String,
    },
    /// The contract has no such field.
    #[error("`{field}` is classified and not in the contract")]
    FieldUnknown {
        /// Its JSON Pointer.
        field: String,
    },
    /// Nobody can see what an answer looks like.
    #[error("the operation `{operation}` has no sample answer")]
    SampleMissing {
        /// Which.
        operation: String,
    },
    /// The public would see it: people belong into `support`, and examples of their data into `samples`.
    #[error("`{at}` tells the public of people")]
    TellsOfPeople {
        /// Which text, or a JSON Pointer into the contract.
        at: String,
    },
    /// The contract has no such operation.
    #[error("there is a sample of `{operation}`, which is no operation of the contract")]
    SampleUnknown {
        /// What it says.
        operation: String,
    },
    /// The sample is not such an answer.
    #[error("the sample of `{operation}` does not fit the contract")]
    SampleUnfit {
        /// Which.
        operation: String,
        /// Why.
        #[source]
        problem: AnswerProblem,
    },
}

impl Flaw {
    /// The stable code: `catalog_entry.unclassified`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Everything that keeps a description from being published, and the contract if it can be read.
pub fn lint(description: &ServiceDescription, contract: &[u8]) -> (Vec<Flaw>, Option<Contract>) {
    let mut flaws = Vec::new();
    for (at, texts) in [("title", &description.title), ("description", &description.description)] {
        flaws.extend(texts_flaws(at, texts));
    }
    for (at, text) in [("legal_basis", &description.legal_basis), ("tariff", &description.tariff)] {
        if text.trim().is_empty() {
            flaws.push(Flaw::Blank { at });
        }
    }
    if description.support.is_empty() {
        flaws.push(Flaw::Blank { at: "support" });
    }
    let contract = match Contract::read(contract) {
        Ok(contract) => contract,
        Err(error) => {
            flaws.push(Flaw::Contract(Box::new(error)));
            return (flaws, None);
        }
    };
    flaws.extend(classification_flaws(description, &contract));
    flaws.extend(sample_flaws(description, &contract));
    flaws.extend(privacy_flaws(description, &contract));
    (flaws, Some(contract))
}

/// What of a text for people is missing.
pub(super) fn texts_flaws(at: &str, texts: &Texts) -> Vec<Flaw> {
    let has = |language: &&str| texts.get(*language).is_some_and(|text| !text.trim().is_empty());
    let missing = LANGUAGES.into_iter().filter(|language| !has(language));
    let unknown = texts.keys().filter(|language| !LANGUAGES.contains(&language.as_str()));
    let missing = missing.map(|language| Flaw::TextMissing { at: at.to_owned(), language });
    let unknown =
        unknown.map(|language| Flaw::LanguageUnknown { at: at.to_owned(), language: language.clone() });
    missing.chain(unknown).collect()
}

fn classification_flaws(description: &ServiceDescription, contract: &Contract) -> Vec<Flaw> {
    let Ok(fields) = fields(contract) else { return vec![Flaw::TooManyFields] };
    let classified: BTreeSet<&String> = description.classification.keys().collect();
    let fields: BTreeSet<&String> = fields.keys().collect();
    let unclassified = fields.difference(&classified);
    let unknown = classified.difference(&fields);
    let unclassified = unclassified.map(|field| Flaw::Unclassified { field: (*field).clone() });
    let unknown = unknown.map(|field| Flaw::FieldUnknown { field: (*field).clone() });
    unclassified.chain(unknown).collect()
}

fn sample_flaws(description: &ServiceDescription, contract: &Contract) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    for operation in contract.operations().iter().filter(|operation| operation.output_schema().is_some()) {
        let name = operation.id().to_owned();
        let Some(sample) = description.samples.get(&name) else {
            flaws.push(Flaw::SampleMissing { operation: name });
            continue;
        };
        let sample = sample.to_string().into_bytes();
        if let Err(problem) = operation.answer("application/json", sample, &Limits::default()) {
            flaws.push(Flaw::SampleUnfit { operation: name, problem });
        }
    }
    let unknown = description.samples.keys().filter(|name| contract.operation(name).is_none());
    flaws.extend(unknown.map(|name| Flaw::SampleUnknown { operation: name.clone() }));
    flaws
}

impl ServiceDescription {
    /// Whether it gives out data about people.
    pub fn is_personal(&self) -> bool {
        self.classification.values().any(|class| *class > Classification::None)
    }
}
