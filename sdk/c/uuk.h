/*
 * Write adapters for uuk in C.
 *
 * An adapter is a function for each operation of its contract, as `generated.h` declares it, which ends with a reply or a
 * fault. `uuk adapter typegen` writes a struct per document, a function per statement of plugin.toml, and what ties them
 * to the host.
 *
 * An instance answers one call and is dropped with all its memory, so nothing need be freed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bindings.h"

/** Why there is no answer; NULL if all is well. */
typedef uuk_adapter_types_fault_t uuk_fault;

/** A fault of one of the kinds `UUK_ADAPTER_TYPES_FAULT_KIND_…`. `code` is one that the contract declares. */
uuk_fault *uuk_fault_of(uuk_adapter_types_fault_kind_t kind, const char *code, const char *message);

/** What was asked about does not exist. */
uuk_fault *uuk_not_found(const char *code, const char *message);

/** The adapter itself failed. `diagnostic` goes to the plugin's log only. */
uuk_fault *uuk_internal(const char *code, const char *diagnostic);

/** `fault` with words for the plugin's log. */
uuk_fault *uuk_diagnosed(uuk_fault *fault, const char *diagnostic);

/** Who asks, and for what. */
const exports_uuk_adapter_handler_context_t *uuk_context(void);

/** Memory that lasts to the end of the call. */
void *uuk_allocate(size_t count, size_t size_bytes);

/** All of `texts`, of which the last is NULL, one behind the other. */
char *uuk_joined(const char *const texts[]);
#define uuk_join(...) uuk_joined((const char *const[]){__VA_ARGS__, NULL})

/** Octets. */
typedef struct {
    const uint8_t *data;
    size_t size_bytes;
} uuk_bytes;

/* Lists, as every list is: their items, and how many. */
typedef struct { const char *const *items; size_t count; } uuk_text_list;
typedef struct { const int64_t *items; size_t count; } uuk_integer_list;
typedef struct { const double *items; size_t count; } uuk_number_list;
typedef struct { const bool *items; size_t count; } uuk_boolean_list;

/*
 * What values are: their size here, and how JSON is made of them. The tables of `generated.h` are made of these.
 *
 * Text ends with a zero, so one that has a zero within is refused. What may be absent or null is a pointer, NULL then; an
 * object within another is one always. What C has no type for is `uuk_json`: the JSON as text.
 */
typedef struct uuk_type uuk_type;
typedef struct uuk_reader uuk_reader;
typedef struct uuk_writer uuk_writer;

struct uuk_type {
    size_t size_bytes;
    bool (*read)(uuk_reader *reader, const uuk_type *type, void *value);
    void (*write)(uuk_writer *writer, const uuk_type *type, const void *value);
    /** The fields of an object, up to one without name; the type of a list's items. */
    const void *of;
};

typedef struct {
    const char *name;
    size_t offset;
    const uuk_type *type;
    /** There is a pointer to the value in its place. */
    bool is_pointer;
    /** Left out rather than null. */
    bool is_optional;
    /** Its type in SQL: one of `UUK_ADAPTER_SQL_VALUE_…`. */
    uint8_t sql;
} uuk_field;

extern const uuk_type uuk_text, uuk_integer, uuk_number, uuk_boolean, uuk_json;
extern const uuk_type uuk_text_list_type, uuk_integer_list_type, uuk_number_list_type, uuk_boolean_list_type;

bool uuk_read_object(uuk_reader *reader, const uuk_type *type, void *value);
void uuk_write_object(uuk_writer *writer, const uuk_type *type, const void *value);
bool uuk_read_list(uuk_reader *reader, const uuk_type *type, void *value);
void uuk_write_list(uuk_writer *writer, const uuk_type *type, const void *value);

/** The type of a struct that has `fields`. */
#define UUK_OBJECT(name, fields) {sizeof(name), uuk_read_object, uuk_write_object, fields}
/** The type of a list: a struct of `items` and their `count`. */
#define UUK_LIST(name, items) {sizeof(name), uuk_read_list, uuk_write_list, items}

/** Reads the JSON of `size_bytes` as `type`. False if it is none, or does not fit. */
bool uuk_from_json(const char *json, size_t size_bytes, const uuk_type *type, void *value);

/** The JSON of `value`, ending with a zero that `size_bytes` does not count. */
char *uuk_to_json(const uuk_type *type, const void *value, size_t *size_bytes);

/** Makes `value` the answer. */
uuk_fault *uuk_reply(const uuk_type *type, const void *value);

/** Answers `document` by `answer`, once it is read as `type`. */
typedef struct {
    const char *name;
    const uuk_type *request;
    uuk_fault *(*answer)(const void *request);
} uuk_operation;

/** The operations of the adapter, up to one without name. */
extern const uuk_operation uuk_operations[];

/** Runs a statement: `params` is a struct of `param_fields`; `rows` will point to `count` structs of `row`. */
uuk_fault *uuk_sql_rows(const char *statement, const uuk_field *param_fields, const void *params, const uuk_type *row,
                        void **rows, size_t *count);

/**
 * The document at `path`, whose segments `uuk_segment` encodes, as JSON and NULL if the upstream says 404.
 * `uuk_from_json` makes a struct of it.
 */
uuk_fault *uuk_http_get_json(const char *upstream, const char *path, char **json, size_t *size_bytes);

/** Sends `body`, if there is one, by `method`. */
uuk_fault *uuk_http_send_json(const char *method, const char *upstream, const char *path, const char *body, char **json,
                              size_t *size_bytes);

/** `/` and `text`, percent-encoded. */
char *uuk_segment(const char *text);
