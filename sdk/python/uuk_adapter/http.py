"""Requests to upstreams that the manifest names."""

import json
from typing import Any
from urllib.parse import quote, urlencode

from componentize_py_types import Err
from wit_world.imports import http
from wit_world.imports.types import FaultKind

from . import Fault, internal

_UNAVAILABLE = (
    http.HttpError_Busy,
    http.HttpError_Dns,
    http.HttpError_Connect,
    http.HttpError_Tls,
    http.HttpError_Protocol,
)


def get_json(upstream: str, *segments: str, **query: str) -> Any | None:
    """The document at the path made of `segments`, each percent-encoded; `None` if the upstream says 404."""
    return send_json("GET", upstream, segments, query)


def send_json(method: str, upstream: str, segments: tuple[str, ...], query: dict[str, str], body: Any = None) -> Any | None:
    """Sends `body`, if there is one, and gives the document that comes; `None` if the upstream says 404."""
    path = "".join("/" + quote(segment, safe="") for segment in segments)
    path += "?" + urlencode(query, quote_via=quote) if query else ""
    headers = [("accept", "application/json")]
    data = None
    if body is not None:
        headers.append(("content-type", "application/json"))
        data = json.dumps(body, ensure_ascii=False).encode()
    try:
        response = http.send(upstream, http.Request(method, path, headers, data, None))
    except Err as error:
        raise _fault(error.value) from None
    if response.status == 404:
        return None
    if not 200 <= response.status < 300:
        raise _unusable(f"the upstream answered with status {response.status}")
    try:
        return json.loads(response.body)
    except ValueError as error:
        raise _unusable("the upstream's document is not JSON") from error


def _unusable(diagnostic: str) -> Fault:
    message = "the upstream's answer cannot be used"
    return Fault(FaultKind.UPSTREAM_UNAVAILABLE, "UPSTREAM_UNUSABLE", message, diagnostic=diagnostic)


def _fault(error: Any) -> Fault:
    diagnostic = f"{type(error).__name__}: {getattr(error, 'value', '')}"
    if isinstance(error, http.HttpError_Deadline):
        message = "the upstream did not answer in time"
        return Fault(FaultKind.UPSTREAM_TIMEOUT, "UPSTREAM_TIMEOUT", message, diagnostic=diagnostic)
    if isinstance(error, _UNAVAILABLE):
        message = "the upstream cannot be reached"
        return Fault(FaultKind.UPSTREAM_UNAVAILABLE, "UPSTREAM_UNAVAILABLE", message, diagnostic=diagnostic)
    return internal("UPSTREAM_ERROR", diagnostic)
