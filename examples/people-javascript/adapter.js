// The register of people.

import { findPerson, searchPeople } from "./generated.js";
import { adapter, notFound } from "./target/uuk/javascript/index.js";

/** @type {(request: import("./generated.js").GetRequest) => import("./generated.js").GetResponse} */
function get(request) {
  const person = findPerson({ pin: request.pin });
  if (!person) throw notFound("PERSON_NOT_FOUND", "nobody bears this number");
  return {
    pin: person.pin,
    surname: person.surname,
    name: person.name,
    patronymic: person.patronymic,
    birth_date: person.birth_date,
    sex: person.sex,
  };
}

const PAGE_SIZE_DEFAULT = 50;

/** @type {(request: import("./generated.js").SearchRequest) => import("./generated.js").SearchResponse} */
function search({ surname, page_size = PAGE_SIZE_DEFAULT, after = "", ...filters }) {
  const people = searchPeople({
    // Every text that begins with the surname, and no other, lies between these two.
    surname_from: surname,
    surname_before: `${surname}\u{10FFFF}`,
    after,
    // One more than the page holds: whether it comes tells whether there is a next page.
    rows: page_size + 1,
    ...filters,
  });
  const page = people.slice(0, page_size);
  return { people: page, next: people.length > page_size ? page.at(-1).pin : undefined };
}

export const { handler, probe } = adapter({ get, search });
