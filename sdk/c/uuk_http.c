/* Requests to upstreams that the manifest names. */

#include <string.h>

#include "uuk.h"

static bindings_string_t lent(const char *text) { return (bindings_string_t){(uint8_t *)text, strlen(text)}; }

char *uuk_segment(const char *text) {
    static const char hex[] = "0123456789ABCDEF";
    char *segment = uuk_allocate(3 * strlen(text) + 2, 1), *to = segment;
    *to++ = '/';
    for (; *text; text++) {
        unsigned char character = (unsigned char)*text;
        bool is_letter = (character | 32) >= 'a' && (character | 32) <= 'z';
        bool is_digit = character >= '0' && character <= '9';
        if (is_letter || is_digit || strchr("-._~", character)) {
            *to++ = (char)character;
        } else {
            *to++ = '%';
            *to++ = hex[character >> 4];
            *to++ = hex[character & 15];
        }
    }
    return segment;
}

static uuk_fault *unusable(const char *diagnostic) {
    return uuk_diagnosed(uuk_fault_of(UUK_ADAPTER_TYPES_FAULT_KIND_UPSTREAM_UNAVAILABLE, "UPSTREAM_UNUSABLE",
                                      "the upstream's answer cannot be used"),
                         diagnostic);
}

static uuk_fault *fault(const uuk_adapter_http_http_error_t *error) {
    static const char *const names[] = {"unknown-upstream", "not-granted", "header-refused", "too-large",
                                        "deadline",         "busy",        "dns",            "connect",
                                        "tls",              "protocol",    "other"};
    const char *diagnostic = error->tag < sizeof names / sizeof *names ? names[error->tag] : "unknown";
    switch (error->tag) {
    case UUK_ADAPTER_HTTP_HTTP_ERROR_DEADLINE:
        return uuk_diagnosed(uuk_fault_of(UUK_ADAPTER_TYPES_FAULT_KIND_UPSTREAM_TIMEOUT, "UPSTREAM_TIMEOUT",
                                          "the upstream did not answer in time"),
                             diagnostic);
    case UUK_ADAPTER_HTTP_HTTP_ERROR_BUSY:
    case UUK_ADAPTER_HTTP_HTTP_ERROR_DNS:
    case UUK_ADAPTER_HTTP_HTTP_ERROR_CONNECT:
    case UUK_ADAPTER_HTTP_HTTP_ERROR_TLS:
    case UUK_ADAPTER_HTTP_HTTP_ERROR_PROTOCOL:
        return uuk_diagnosed(uuk_fault_of(UUK_ADAPTER_TYPES_FAULT_KIND_UPSTREAM_UNAVAILABLE, "UPSTREAM_UNAVAILABLE",
                                          "the upstream cannot be reached"),
                             diagnostic);
    default: return uuk_internal("UPSTREAM_ERROR", diagnostic);
    }
}

uuk_fault *uuk_http_send_json(const char *method, const char *upstream, const char *path, const char *body, char **json,
                              size_t *size_bytes) {
    bindings_tuple2_string_string_t headers[] = {{lent("accept"), lent("application/json")},
                                                 {lent("content-type"), lent("application/json")}};
    bindings_string_t name = lent(upstream);
    uuk_adapter_http_request_t request = {
        .method = lent(method),
        .path_and_query = lent(path),
        .headers = {headers, body ? 2 : 1},
        .body = {body != NULL, body ? (bindings_list_u8_t){(uint8_t *)body, strlen(body)} : (bindings_list_u8_t){0}},
    };
    uuk_adapter_http_response_t response;
    uuk_adapter_http_http_error_t error;
    *json = NULL;
    if (!uuk_adapter_http_send(&name, &request, &response, &error)) return fault(&error);
    if (response.status == 404) return NULL;
    if (response.status < 200 || response.status > 299) return unusable("the upstream answered with another status");
    if (!response.body.len) return unusable("the upstream's document is empty");
    *json = (char *)response.body.ptr;
    *size_bytes = response.body.len;
    return NULL;
}

uuk_fault *uuk_http_get_json(const char *upstream, const char *path, char **json, size_t *size_bytes) {
    return uuk_http_send_json("GET", upstream, path, NULL, json, size_bytes);
}
