//! The register of people.

mod generated;

use generated::{get, statements};
use uuk_adapter::{Fault, OrNotFound, operation};

uuk_adapter::adapter!(get);

#[operation]
fn get(request: get::Request) -> Result<get::Response, Fault> {
    let person = statements::find_person(&request.pin)?
        .or_not_found(get::FaultCode::PersonNotFound, "nobody bears this number")?;
    Ok(get::Response {
        pin: person.pin,
        surname: person.surname,
        name: person.name,
        patronymic: person.patronymic,
        birth_date: person.birth_date,
        sex: person.sex.parse()?,
    })
}
