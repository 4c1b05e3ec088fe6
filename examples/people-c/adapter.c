/* The register of people. */

#include "generated.h"

uuk_fault *answer_get(const get_request *request) {
    sql_find_person_row *person;
    uuk_fault *fault = sql_find_person(&(sql_find_person_params){.pin = request->pin}, &person);
    if (fault) return fault;
    if (!person) return uuk_not_found(GET_PERSON_NOT_FOUND, "nobody bears this number");
    return reply_get(&(get_response){
        .pin = person->pin,
        .surname = person->surname,
        .name = person->name,
        .patronymic = person->patronymic,
        .birth_date = person->birth_date,
        .sex = person->sex,
    });
}

static const int64_t page_size_default = 50;

uuk_fault *answer_search(const search_request *request) {
    int64_t page_size = request->page_size ? *request->page_size : page_size_default;
    sql_search_people_rows found;
    uuk_fault *fault = sql_search_people(
        &(sql_search_people_params){
            // Every text that begins with the surname, and no other, lies between these two.
            .surname_from = request->surname,
            .surname_before = uuk_join(request->surname, "\U0010FFFF"),
            .name = request->name,
            .patronymic = request->patronymic,
            .sex = request->sex,
            .born_from = request->born_from,
            .born_to = request->born_to,
            .citizenship = request->citizenship,
            .marital_status = request->marital_status,
            .region = request->region,
            .district = request->district,
            .settlement = request->settlement,
            .registered_from = request->registered_from,
            .registered_to = request->registered_to,
            .alive = request->alive,
            .after = request->after ? request->after : "",
            // One more than the page holds: whether it comes tells whether there is a next page.
            .rows = page_size + 1,
        },
        &found);
    if (fault) return fault;
    bool is_last = (int64_t)found.count <= page_size;
    size_t count = is_last ? found.count : (size_t)page_size;
    search_person *people = uuk_allocate(count, sizeof *people);
    for (size_t at = 0; at < count; at++) {
        const sql_search_people_row *row = &found.items[at];
        people[at] = (search_person){
            .pin = row->pin,
            .surname = row->surname,
            .name = row->name,
            .patronymic = row->patronymic,
            .birth_date = row->birth_date,
            .sex = row->sex,
        };
    }
    return reply_search(&(search_response){
        .people = {people, count},
        .next = is_last ? NULL : people[count - 1].pin,
    });
}
