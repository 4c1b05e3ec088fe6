/** Requests to upstreams that the manifest names. */

import { send } from "uuk:adapter/http@0.1.0";

import { Fault, internal } from "./index.js";
import { decode, encode } from "./utf8.js";

/** The document at the path made of `segments`, each percent-encoded; undefined if the upstream says 404. */
export function getJson(upstream, segments, query = {}) {
  return sendJson("GET", upstream, segments, query);
}

/** Sends `body`, if there is one, and gives the document that comes; undefined if the upstream says 404. */
export function sendJson(method, upstream, segments, query = {}, body) {
  const path = segments.map((segment) => `/${encodeURIComponent(segment)}`).join("");
  const pairs = Object.entries(query).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  const headers = [["accept", "application/json"]];
  if (body !== undefined) headers.push(["content-type", "application/json"]);
  let response;
  try {
    response = send(upstream, {
      method,
      pathAndQuery: pairs.length ? `${path}?${pairs.join("&")}` : path,
      headers,
      body: body === undefined ? undefined : encode(JSON.stringify(body)),
      timeoutMs: undefined,
    });
  } catch (error) {
    throw fault(error);
  }
  if (response.status === 404) return undefined;
  if (response.status < 200 || response.status > 299) {
    throw unusable(`the upstream answered with status ${response.status}`);
  }
  try {
    return JSON.parse(decode(response.body));
  } catch {
    throw unusable("the upstream's document is not JSON");
  }
}

function unusable(diagnostic) {
  return new Fault("upstream-unavailable", "UPSTREAM_UNUSABLE", "the upstream's answer cannot be used", { diagnostic });
}

function fault(error) {
  const diagnostic = `${error?.tag}: ${JSON.stringify(error?.val) ?? ""}`;
  switch (error?.tag) {
    case "deadline":
      return new Fault("upstream-timeout", "UPSTREAM_TIMEOUT", "the upstream did not answer in time", { diagnostic });
    case "busy":
    case "dns":
    case "connect":
    case "tls":
    case "protocol":
      return new Fault("upstream-unavailable", "UPSTREAM_UNAVAILABLE", "the upstream cannot be reached", { diagnostic });
    default:
      return internal("UPSTREAM_ERROR", diagnostic);
  }
}
