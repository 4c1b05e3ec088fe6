//! The register of people.

mod generated;

use generated::{get, search, statements};
use uuk_adapter::{Fault, OrNotFound, operation};

uuk_adapter::adapter!(get, search);

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

const PAGE_SIZE_DEFAULT: i64 = 50;

#[operation]
fn search(request: search::Request) -> Result<search::Response, Fault> {
    let page_size = request.page_size.unwrap_or(PAGE_SIZE_DEFAULT);
    let mut people = statements::search_people(&statements::SearchPeople {
        // Every text that begins with the surname, and no other, lies between these two.
        surname_from: &request.surname,
        surname_before: &format!("{}\u{10FFFF}", request.surname),
        name: request.name.as_deref(),
        patronymic: request.patronymic.as_deref(),
        sex: request.sex.map(search::Sex::as_str),
        born_from: request.born_from.as_deref(),
        born_to: request.born_to.as_deref(),
        citizenship: request.citizenship.as_deref(),
        marital_status: request.marital_status.map(search::MaritalStatus::as_str),
        region: request.region.as_deref(),
        district: request.district.as_deref(),
        settlement: request.settlement.as_deref(),
        registered_from: request.registered_from.as_deref(),
        registered_to: request.registered_to.as_deref(),
        alive: request.alive,
        after: request.after.as_deref().unwrap_or_default(),
        // One more than the page holds: whether it comes tells whether there is a next page.
        rows: page_size + 1,
    })?;
    let is_last = people.len() <= usize::try_from(page_size).unwrap_or(usize::MAX);
    if !is_last {
        people.pop();
    }
    let next = if is_last { None } else { people.last().map(|person| person.pin.clone()) };
    let people = people.into_iter().map(person).collect::<Result<_, Fault>>()?;
    Ok(search::Response { people, next })
}

fn person(row: statements::SearchPeopleRow) -> Result<search::Person, Fault> {
    Ok(search::Person {
        pin: row.pin,
        surname: row.surname,
        name: row.name,
        patronymic: row.patronymic,
        birth_date: row.birth_date,
        sex: row.sex.parse()?,
    })
}
