/**
 * Write adapters for uuk in JavaScript.
 *
 * An adapter is a function for each operation of its contract, and one line that names them:
 *
 *     export const { handler, probe } = adapter({ get });
 *
 * A function takes the request as the object that the contract describes and gives the answer as one. A member that is
 * `undefined` is left out. `uuk adapter typegen` writes the types of both, and a function for each statement of
 * plugin.toml.
 */

import { decode, encode } from "./utf8.js";

/**
 * Why there is no answer. `code` is one that the contract declares; `diagnostic` goes to the plugin's log only.
 *
 * `kind` is one of bad-input, not-found, forbidden, conflict, precondition, rate-limited, upstream-unavailable,
 * upstream-timeout and internal.
 */
export class Fault extends Error {
  constructor(kind, code, message, { problems = [], retryAfterMs, diagnostic } = {}) {
    super(message);
    this.record = { kind, code, message, problems, retryAfterMs, diagnostic };
  }
}

/** What was asked about does not exist. */
export function notFound(code, message) {
  return new Fault("not-found", code, message);
}

/** The adapter itself failed. */
export function internal(code, diagnostic) {
  return new Fault("internal", code, "the service failed to answer", { diagnostic });
}

/**
 * What the world exports: what answers the operations named, and what answers the host's probe. A function's second
 * argument is the context: who asks, and for what.
 */
export function adapter(operations, findings = () => []) {
  return {
    handler: {
      handle(context, request) {
        try {
          const operation = operations[context.service.operation];
          if (!operation) {
            throw internal("OPERATION_NOT_ANSWERED", `\`adapter\` does not name \`${context.service.operation}\``);
          }
          const answer = operation(JSON.parse(decode(request.body.data)), context);
          const data = answer === undefined ? new Uint8Array() : encode(JSON.stringify(answer));
          return { body: { mediaType: "application/json", data }, attachments: [] };
        } catch (error) {
          if (error instanceof Fault) throw error.record;
          // Its text may hold personal data: only its type is told.
          throw internal("ADAPTER_FAILED", `${error?.name} in \`${context.service.operation}\``).record;
        }
      },
    },
    probe: { run: (depth) => findings(depth) },
  };
}
