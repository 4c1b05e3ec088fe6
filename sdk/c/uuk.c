/* What the world exports, and faults. */

#include <stdlib.h>
#include <string.h>

#include "uuk.h"

/* The bindings ask for it, so that the contract's types are linked; `uuk adapter build` adds those to the component. */
void __component_type_object_force_link_bindings(void);
void __component_type_object_force_link_bindings(void) {}

static const exports_uuk_adapter_handler_context_t *context;
static bindings_list_u8_t reply;

void *uuk_allocate(size_t count, size_t size_bytes) {
    void *memory = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
    if (!memory) __builtin_trap();
    return memory;
}

char *uuk_joined(const char *const texts[]) {
    size_t size = 1;
    for (const char *const *text = texts; *text; text++) size += strlen(*text);
    char *joined = uuk_allocate(size, 1), *to = joined;
    for (const char *const *text = texts; *text; text++) to = stpcpy(to, *text);
    return joined;
}

/* What goes to the host is freed after the call, so it is a copy. */
static bindings_string_t copy(const char *text) {
    bindings_string_t copied;
    bindings_string_dup(&copied, text);
    return copied;
}

uuk_fault *uuk_fault_of(uuk_adapter_types_fault_kind_t kind, const char *code, const char *message) {
    uuk_fault *fault = uuk_allocate(1, sizeof *fault);
    fault->kind = kind;
    fault->code = copy(code);
    fault->message = copy(message);
    return fault;
}

uuk_fault *uuk_not_found(const char *code, const char *message) {
    return uuk_fault_of(UUK_ADAPTER_TYPES_FAULT_KIND_NOT_FOUND, code, message);
}

uuk_fault *uuk_diagnosed(uuk_fault *fault, const char *diagnostic) {
    fault->diagnostic.is_some = true;
    fault->diagnostic.val = copy(diagnostic);
    return fault;
}

uuk_fault *uuk_internal(const char *code, const char *diagnostic) {
    const char *message = "the service failed to answer";
    return uuk_diagnosed(uuk_fault_of(UUK_ADAPTER_TYPES_FAULT_KIND_INTERNAL, code, message), diagnostic);
}

const exports_uuk_adapter_handler_context_t *uuk_context(void) { return context; }

uuk_fault *uuk_reply(const uuk_type *type, const void *value) {
    reply.ptr = (uint8_t *)uuk_to_json(type, value, &reply.len);
    return NULL;
}

static uuk_fault *answer(const uuk_operation *operation, const bindings_list_u8_t *document) {
    void *request = uuk_allocate(1, operation->request->size_bytes);
    if (!uuk_from_json((const char *)document->ptr, document->len, operation->request, request)) {
        return uuk_internal("REQUEST_UNREADABLE", "the request has a text or number that C cannot hold");
    }
    return operation->answer(request);
}

static const uuk_operation *operation_named(const bindings_string_t *name) {
    const uuk_operation *operation = uuk_operations;
    while (operation->name) {
        if (strlen(operation->name) == name->len && memcmp(operation->name, name->ptr, name->len) == 0) break;
        operation++;
    }
    return operation;
}

bool exports_uuk_adapter_handler_handle(exports_uuk_adapter_handler_context_t *asked,
                                        exports_uuk_adapter_handler_request_t *request,
                                        exports_uuk_adapter_handler_response_t *response, uuk_fault *refused) {
    context = asked;
    const uuk_operation *operation = operation_named(&asked->service.operation);
    uuk_fault *fault = operation->name ? answer(operation, &request->body.data)
                                       : uuk_internal("OPERATION_NOT_ANSWERED", "generated.h has no such operation");
    if (fault) {
        *refused = *fault;
        return false;
    }
    *response = (exports_uuk_adapter_handler_response_t){.body = {copy("application/json"), reply}};
    return true;
}

/* An adapter may have its own. */
__attribute__((weak)) void exports_uuk_adapter_probe_run(exports_uuk_adapter_probe_depth_t depth,
                                                         exports_uuk_adapter_probe_list_finding_t *findings) {
    (void)depth;
    *findings = (exports_uuk_adapter_probe_list_finding_t){0};
}
