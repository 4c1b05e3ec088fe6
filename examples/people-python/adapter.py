"""The register of people."""

import generated
from uuk_adapter import adapter, not_found


def get(request: generated.GetRequest) -> generated.GetResponse:
    person = generated.find_person(pin=request["pin"])
    if person is None:
        raise not_found("PERSON_NOT_FOUND", "nobody bears this number")
    return {
        "pin": person.pin,
        "surname": person.surname,
        "name": person.name,
        "patronymic": person.patronymic,
        "birth_date": person.birth_date,
        "sex": person.sex,
    }


PAGE_SIZE_DEFAULT = 50


def search(request: generated.SearchRequest) -> generated.SearchResponse:
    page_size = request.get("page_size", PAGE_SIZE_DEFAULT)
    rows = generated.search_people(
        # Every text that begins with the surname, and no other, lies between these two.
        surname_from=request["surname"],
        surname_before=request["surname"] + "\U0010FFFF",
        name=request.get("name"),
        patronymic=request.get("patronymic"),
        sex=request.get("sex"),
        born_from=request.get("born_from"),
        born_to=request.get("born_to"),
        citizenship=request.get("citizenship"),
        marital_status=request.get("marital_status"),
        region=request.get("region"),
        district=request.get("district"),
        settlement=request.get("settlement"),
        registered_from=request.get("registered_from"),
        registered_to=request.get("registered_to"),
        alive=request.get("alive"),
        after=request.get("after", ""),
        # One more than the page holds: whether it comes tells whether there is a next page.
        rows=page_size + 1,
    )
    page = rows[:page_size]
    return {"people": [vars(row) for row in page], "next": page[-1].pin if len(rows) > page_size else None}


Handler, Probe = adapter(get=get, search=search)
