/** Statements of the manifest. The functions that `uuk adapter typegen` writes are made of these. */

import { run } from "uuk:adapter/sql@0.1.0";

import { Fault, internal } from "./index.js";

/** Runs a statement. Each parameter is its name, its type and its value; no value, or null, is null. */
export function rows(statement, params) {
  const values = params.map(([name, tag, val]) => [name, val == null ? { tag: "null" } : { tag, val }]);
  let result;
  try {
    result = run(statement, values);
  } catch (error) {
    throw fault(error);
  }
  // Null and nothing are one: a member that is undefined is left out of the answer.
  return result.rows.map((row) => row.map((value) => (value.tag === "null" ? undefined : value.val)));
}

/** Runs a statement whose `max_rows` is 1. */
export function optionalRow(statement, params) {
  return rows(statement, params)[0];
}

function fault(error) {
  const diagnostic = `${error?.tag}: ${JSON.stringify(error?.val) ?? ""}`;
  switch (error?.tag) {
    case "deadline":
      return new Fault("upstream-timeout", "DATABASE_TIMEOUT", "the database did not answer in time", { diagnostic });
    case "busy":
    case "unavailable":
      return new Fault("upstream-unavailable", "DATABASE_UNAVAILABLE", "the database cannot be reached", { diagnostic });
    default:
      return internal("DATABASE_ERROR", diagnostic);
  }
}
