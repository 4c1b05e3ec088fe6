/* Statements of the manifest. The functions of `generated.h` are made of these. */

#include <string.h>

#include "uuk.h"

/* Only lent to the host: it is read and not kept. */
static bindings_string_t lent(const char *text) { return (bindings_string_t){(uint8_t *)text, strlen(text)}; }

static uuk_adapter_sql_value_t to_value(const uuk_field *field, const void *params) {
    const void *place = (const char *)params + field->offset;
    uuk_adapter_sql_value_t value = {.tag = UUK_ADAPTER_SQL_VALUE_NULL};
    bool begins_with_pointer = field->is_pointer || field->type == &uuk_text || field->sql == UUK_ADAPTER_SQL_VALUE_BYTES;
    if (begins_with_pointer && *(const void *const *)place == NULL) return value;
    if (field->is_pointer) place = *(const void *const *)place;
    value.tag = field->sql;
    switch (field->sql) {
    case UUK_ADAPTER_SQL_VALUE_BOOLEAN: value.val.boolean = *(const bool *)place; break;
    case UUK_ADAPTER_SQL_VALUE_INTEGER: value.val.integer = *(const int64_t *)place; break;
    case UUK_ADAPTER_SQL_VALUE_FLOAT: value.val.float_ = *(const double *)place; break;
    case UUK_ADAPTER_SQL_VALUE_BYTES: {
        const uuk_bytes *bytes = place;
        value.val.bytes = (bindings_list_u8_t){(uint8_t *)bytes->data, bytes->size_bytes};
        break;
    }
    default: value.val.text = lent(*(const char *const *)place); /* whatever is text in WIT stands in one place */
    }
    return value;
}

/* False if there is a zero within a text, which would end there. */
static bool from_value(const uuk_field *field, const uuk_adapter_sql_value_t *value, void *row) {
    void *place = (char *)row + field->offset;
    if (value->tag == UUK_ADAPTER_SQL_VALUE_NULL) return true;
    if (field->is_pointer) place = *(void **)place = uuk_allocate(1, field->type->size_bytes);
    switch (value->tag) {
    case UUK_ADAPTER_SQL_VALUE_BOOLEAN: *(bool *)place = value->val.boolean; return true;
    case UUK_ADAPTER_SQL_VALUE_INTEGER: *(int64_t *)place = value->val.integer; return true;
    case UUK_ADAPTER_SQL_VALUE_FLOAT: *(double *)place = value->val.float_; return true;
    case UUK_ADAPTER_SQL_VALUE_BYTES:
        *(uuk_bytes *)place = (uuk_bytes){value->val.bytes.ptr, value->val.bytes.len};
        return true;
    default: {
        const bindings_string_t *from = &value->val.text;
        char *text = uuk_allocate(from->len + 1, 1);
        if (from->len) memcpy(text, from->ptr, from->len);
        *(const char **)place = text;
        return strlen(text) == from->len;
    }
    }
}

static uuk_fault *fault(const uuk_adapter_sql_sql_error_t *error) {
    static const char *const names[] = {"unknown-datasource", "unknown-statement", "not-granted", "bad-parameter",
                                        "too-many-rows",      "too-many-bytes",    "deadline",    "busy",
                                        "unavailable",        "rejected",          "conversion",  "other"};
    const char *diagnostic = error->tag < sizeof names / sizeof *names ? names[error->tag] : "unknown";
    if (error->tag == UUK_ADAPTER_SQL_SQL_ERROR_REJECTED) {
        const bindings_string_t *message = &error->val.rejected.message;
        char *words = uuk_allocate(message->len + 1, 1);
        if (message->len) memcpy(words, message->ptr, message->len);
        diagnostic = uuk_join(diagnostic, ": ", words);
    }
    switch (error->tag) {
    case UUK_ADAPTER_SQL_SQL_ERROR_DEADLINE:
        return uuk_diagnosed(uuk_fault_of(UUK_ADAPTER_TYPES_FAULT_KIND_UPSTREAM_TIMEOUT, "DATABASE_TIMEOUT",
                                          "the database did not answer in time"),
                             diagnostic);
    case UUK_ADAPTER_SQL_SQL_ERROR_BUSY:
    case UUK_ADAPTER_SQL_SQL_ERROR_UNAVAILABLE:
        return uuk_diagnosed(uuk_fault_of(UUK_ADAPTER_TYPES_FAULT_KIND_UPSTREAM_UNAVAILABLE, "DATABASE_UNAVAILABLE",
                                          "the database cannot be reached"),
                             diagnostic);
    default: return uuk_internal("DATABASE_ERROR", diagnostic);
    }
}

static size_t count_of(const uuk_field *fields) {
    size_t count = 0;
    while (fields[count].name) count++;
    return count;
}

uuk_fault *uuk_sql_rows(const char *statement, const uuk_field *param_fields, const void *params, const uuk_type *row,
                        void **rows, size_t *count) {
    bindings_string_t name = lent(statement);
    size_t params_count = count_of(param_fields);
    uuk_adapter_sql_list_tuple2_string_value_t values = {uuk_allocate(params_count, sizeof *values.ptr), params_count};
    for (size_t at = 0; at < params_count; at++) {
        values.ptr[at].f0 = lent(param_fields[at].name);
        values.ptr[at].f1 = to_value(&param_fields[at], params);
    }
    uuk_adapter_sql_row_set_t found;
    uuk_adapter_sql_sql_error_t error;
    if (!uuk_adapter_sql_run(&name, &values, &found, &error)) return fault(&error);
    if (!row) return NULL;

    const uuk_field *fields = row->of;
    size_t columns = count_of(fields);
    *count = found.rows.len;
    *rows = uuk_allocate(found.rows.len, row->size_bytes);
    for (size_t at = 0; at < found.rows.len; at++) {
        for (size_t column = 0; column < columns && column < found.rows.ptr[at].len; column++) {
            void *place = (char *)*rows + at * row->size_bytes;
            if (!from_value(&fields[column], &found.rows.ptr[at].ptr[column], place)) {
                return uuk_internal("DATABASE_ERROR", uuk_join("there is a zero within ", fields[column].name));
            }
        }
    }
    return NULL;
}
