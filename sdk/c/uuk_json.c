/* Structs from JSON, and JSON from structs, by the tables of `uuk.h`. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uuk.h"

#define DEPTH_MAX 64

struct uuk_reader {
    const char *at;
    const char *end;
    int depth;
};

struct uuk_writer {
    char *text;
    size_t size_bytes;
    size_t capacity_bytes;
};

/* Reading. */

static char next(uuk_reader *reader) {
    while (reader->at < reader->end && *reader->at && strchr(" \t\r\n", *reader->at)) reader->at++;
    return reader->at < reader->end ? *reader->at : '\0';
}

static bool take(uuk_reader *reader, char wanted) {
    if (next(reader) != wanted) return false;
    reader->at++;
    return true;
}

static bool take_word(uuk_reader *reader, const char *word) {
    size_t size = strlen(word);
    next(reader);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0) return false;
    reader->at += size;
    return true;
}

static bool take_hex(uuk_reader *reader, uint32_t *code) {
    *code = 0;
    for (int digit = 0; digit < 4; digit++) {
        if (reader->at >= reader->end) return false;
        char character = *reader->at++;
        uint32_t value;
        if (character >= '0' && character <= '9') value = (uint32_t)(character - '0');
        else if ((character | 32) >= 'a' && (character | 32) <= 'f') value = (uint32_t)((character | 32) - 'a' + 10);
        else return false;
        *code = *code * 16 + value;
    }
    return true;
}

/* What stands behind a backslash, as UTF-8. A zero would end the text, so it is refused. */
static bool take_escape(uuk_reader *reader, char **to) {
    if (reader->at >= reader->end) return false;
    char character = *reader->at++;
    if (character != 'u') {
        static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
        const char *name = character ? strchr(names, character) : NULL;
        if (!name) return false;
        *(*to)++ = meant[name - names];
        return true;
    }
    uint32_t code, low;
    if (!take_hex(reader, &code) || code == 0) return false;
    if (code >= 0xd800 && code < 0xe000) {
        bool is_pair = code < 0xdc00 && reader->end - reader->at >= 2 && reader->at[0] == '\\' && reader->at[1] == 'u';
        if (!is_pair) return false;
        reader->at += 2;
        if (!take_hex(reader, &low) || low < 0xdc00 || low >= 0xe000) return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code < 0x80) {
        *(*to)++ = (char)code;
        return true;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *(*to)++ = (char)((0xf00 >> more) | (code >> (6 * more)));
    while (more-- > 0) *(*to)++ = (char)(0x80 | ((code >> (6 * more)) & 0x3f));
    return true;
}

static bool read_text(uuk_reader *reader, const uuk_type *type, void *value) {
    (void)type;
    if (!take(reader, '"')) return false;
    const char *end = reader->at;
    while (end < reader->end && *end != '"') end += *end == '\\' ? 2 : 1;
    if (end >= reader->end) return false;
    /* No escape is shorter than what it means. */
    char *text = uuk_allocate((size_t)(end - reader->at) + 1, 1), *to = text;
    while (reader->at < end) {
        char character = *reader->at++;
        if (character == '\0') return false;
        if (character != '\\') *to++ = character;
        else if (!take_escape(reader, &to)) return false;
    }
    *to = '\0';
    reader->at = end + 1;
    *(const char **)value = text;
    return true;
}

static bool read_integer(uuk_reader *reader, const uuk_type *type, void *value) {
    (void)type;
    bool is_negative = take(reader, '-');
    const char *first = reader->at;
    int64_t number = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
        int64_t digit = *reader->at++ - '0';
        if (__builtin_mul_overflow(number, 10, &number)) return false;
        if (__builtin_sub_overflow(number, digit, &number)) return false;
    }
    /* `1.0` is a whole number in JSON, and no other with a point is. */
    if (reader->at < reader->end && *reader->at == '.') {
        while (++reader->at < reader->end && *reader->at == '0') continue;
    }
    bool ends = reader->at == reader->end || !strchr("0123456789.eE+-", *reader->at);
    if (reader->at == first || !ends) return false;
    if (!is_negative && __builtin_sub_overflow(0, number, &number)) return false;
    *(int64_t *)value = number;
    return true;
}

static bool read_number(uuk_reader *reader, const uuk_type *type, void *value) {
    (void)type;
    char digits[400];
    size_t size = 0;
    next(reader);
    while (reader->at < reader->end && *reader->at && strchr("0123456789.eE+-", *reader->at)) {
        if (size == sizeof digits - 1) return false;
        digits[size++] = *reader->at++;
    }
    digits[size] = '\0';
    char *end;
    *(double *)value = strtod(digits, &end);
    return size > 0 && *end == '\0';
}

static bool read_boolean(uuk_reader *reader, const uuk_type *type, void *value) {
    (void)type;
    *(bool *)value = take_word(reader, "true");
    return *(bool *)value || take_word(reader, "false");
}

/* Goes past a value of any kind. */
static bool skip(uuk_reader *reader) {
    double number;
    const char *text;
    char first = next(reader);
    if (first == '"') return read_text(reader, NULL, &text);
    if (first != '{' && first != '[') {
        bool is_word = take_word(reader, "null") || take_word(reader, "true") || take_word(reader, "false");
        return is_word || read_number(reader, NULL, &number);
    }
    char last = first == '{' ? '}' : ']';
    if (++reader->depth > DEPTH_MAX) return false;
    reader->at++;
    for (bool is_first = true; !take(reader, last); is_first = false) {
        if (!is_first && !take(reader, ',')) return false;
        if (first == '{' && !(read_text(reader, NULL, &text) && take(reader, ':'))) return false;
        if (!skip(reader)) return false;
    }
    reader->depth--;
    return true;
}

static bool read_json(uuk_reader *reader, const uuk_type *type, void *value) {
    (void)type;
    next(reader);
    const char *first = reader->at;
    if (!skip(reader)) return false;
    size_t size = (size_t)(reader->at - first);
    char *text = uuk_allocate(size + 1, 1);
    memcpy(text, first, size);
    *(const char **)value = text;
    return true;
}

static bool read_field(uuk_reader *reader, const uuk_field *field, void *value) {
    void *place = (char *)value + field->offset;
    /* Null is what is there already; JSON as text can say it. */
    if (field->type != &uuk_json && take_word(reader, "null")) return true;
    if (!field->is_pointer) return field->type->read(reader, field->type, place);
    void *target = uuk_allocate(1, field->type->size_bytes);
    *(void **)place = target;
    return field->type->read(reader, field->type, target);
}

bool uuk_read_object(uuk_reader *reader, const uuk_type *type, void *value) {
    if (!take(reader, '{') || ++reader->depth > DEPTH_MAX) return false;
    for (bool is_first = true; !take(reader, '}'); is_first = false) {
        const char *name;
        if (!is_first && !take(reader, ',')) return false;
        if (!read_text(reader, NULL, &name) || !take(reader, ':')) return false;
        const uuk_field *field = type->of;
        while (field->name && strcmp(field->name, name) != 0) field++;
        if (!(field->name ? read_field(reader, field, value) : skip(reader))) return false;
    }
    reader->depth--;
    return true;
}

/* Every list has this form. */
typedef struct {
    void *items;
    size_t count;
} list;

bool uuk_read_list(uuk_reader *reader, const uuk_type *type, void *value) {
    if (!take(reader, '[') || ++reader->depth > DEPTH_MAX) return false;
    const uuk_type *item = type->of;
    list *read = value;
    size_t capacity = 4;
    *read = (list){uuk_allocate(capacity, item->size_bytes), 0};
    while (!take(reader, ']')) {
        if (read->count > 0 && !take(reader, ',')) return false;
        if (read->count == capacity) {
            void *larger = uuk_allocate(capacity *= 2, item->size_bytes);
            memcpy(larger, read->items, read->count * item->size_bytes);
            read->items = larger;
        }
        if (!item->read(reader, item, (char *)read->items + read->count * item->size_bytes)) return false;
        read->count++;
    }
    reader->depth--;
    return true;
}

bool uuk_from_json(const char *json, size_t size_bytes, const uuk_type *type, void *value) {
    uuk_reader reader = {json, json + size_bytes, 0};
    return type->read(&reader, type, value) && next(&reader) == '\0' && reader.at == reader.end;
}

/* Writing. */

static void put(uuk_writer *writer, const char *text, size_t size_bytes) {
    if (writer->capacity_bytes - writer->size_bytes < size_bytes) {
        writer->capacity_bytes = 2 * writer->capacity_bytes + size_bytes;
        writer->text = realloc(writer->text, writer->capacity_bytes);
        if (!writer->text) __builtin_trap();
    }
    memcpy(writer->text + writer->size_bytes, text, size_bytes);
    writer->size_bytes += size_bytes;
}

static void put_text(uuk_writer *writer, const char *text) { put(writer, text, strlen(text)); }

static void write_text(uuk_writer *writer, const uuk_type *type, const void *value) {
    (void)type;
    const char *text = *(const char *const *)value;
    if (!text) return put_text(writer, "null");
    put(writer, "\"", 1);
    for (; *text; text++) {
        static const char hex[] = "0123456789abcdef";
        unsigned char character = (unsigned char)*text;
        char escaped[] = {'\\', 'u', '0', '0', hex[character >> 4], hex[character & 15]};
        if (character < ' ') put(writer, escaped, sizeof escaped);
        else if (character == '"' || character == '\\') put(writer, (char[]){'\\', *text}, 2);
        else put(writer, text, 1);
    }
    put(writer, "\"", 1);
}

static void write_integer(uuk_writer *writer, const uuk_type *type, const void *value) {
    (void)type;
    int64_t number = *(const int64_t *)value;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    char digits[20], *first = digits + sizeof digits;
    do *--first = (char)('0' + rest % 10);
    while (rest /= 10);
    if (number < 0) *--first = '-';
    put(writer, first, (size_t)(digits + sizeof digits - first));
}

static void write_number(uuk_writer *writer, const uuk_type *type, const void *value) {
    (void)type;
    double number = *(const double *)value;
    char digits[32];
    snprintf(digits, sizeof digits, "%.17g", number);
    /* JSON knows no infinities. */
    put_text(writer, __builtin_isfinite(number) ? digits : "null");
}

static void write_boolean(uuk_writer *writer, const uuk_type *type, const void *value) {
    (void)type;
    put_text(writer, *(const bool *)value ? "true" : "false");
}

static void write_json(uuk_writer *writer, const uuk_type *type, const void *value) {
    (void)type;
    const char *json = *(const char *const *)value;
    put_text(writer, json ? json : "null");
}

void uuk_write_object(uuk_writer *writer, const uuk_type *type, const void *value) {
    const char *separator = "{";
    for (const uuk_field *field = type->of; field->name; field++) {
        const void *place = (const char *)value + field->offset;
        /* Text, JSON and lists begin with a pointer, too. */
        bool may_lack = field->is_pointer || field->is_optional;
        bool lacks = may_lack && *(const void *const *)place == NULL;
        if (lacks && field->is_optional) continue;
        put_text(writer, separator);
        write_text(writer, NULL, &field->name);
        put(writer, ":", 1);
        if (lacks) put_text(writer, "null");
        else field->type->write(writer, field->type, field->is_pointer ? *(const void *const *)place : place);
        separator = ",";
    }
    put_text(writer, *separator == '{' ? "{}" : "}");
}

void uuk_write_list(uuk_writer *writer, const uuk_type *type, const void *value) {
    const uuk_type *item = type->of;
    const list *written = value;
    put(writer, "[", 1);
    for (size_t at = 0; at < written->count; at++) {
        if (at > 0) put(writer, ",", 1);
        item->write(writer, item, (const char *)written->items + at * item->size_bytes);
    }
    put(writer, "]", 1);
}

char *uuk_to_json(const uuk_type *type, const void *value, size_t *size_bytes) {
    uuk_writer writer = {NULL, 0, 0};
    type->write(&writer, type, value);
    *size_bytes = writer.size_bytes;
    put(&writer, "", 1);
    return writer.text;
}

const uuk_type uuk_text = {sizeof(const char *), read_text, write_text, NULL};
const uuk_type uuk_integer = {sizeof(int64_t), read_integer, write_integer, NULL};
const uuk_type uuk_number = {sizeof(double), read_number, write_number, NULL};
const uuk_type uuk_boolean = {sizeof(bool), read_boolean, write_boolean, NULL};
const uuk_type uuk_json = {sizeof(const char *), read_json, write_json, NULL};

const uuk_type uuk_text_list_type = UUK_LIST(uuk_text_list, &uuk_text);
const uuk_type uuk_integer_list_type = UUK_LIST(uuk_integer_list, &uuk_integer);
const uuk_type uuk_number_list_type = UUK_LIST(uuk_number_list, &uuk_number);
const uuk_type uuk_boolean_list_type = UUK_LIST(uuk_boolean_list, &uuk_boolean);
