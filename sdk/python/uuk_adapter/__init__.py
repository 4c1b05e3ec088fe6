"""Write adapters for uuk in Python.

An adapter is a function for each operation of its contract, and one line that names them:

    Handler, Probe = adapter(get=get)

A function takes the request as the dictionary that the contract describes and gives the answer as one. A member that is
`None` is left out of the answer; `NULL` stands for a null. `uuk adapter typegen` writes the types of both, and a function
for each statement of plugin.toml.
"""

import json
from typing import Any, Callable, NoReturn

from componentize_py_types import Err
from wit_world.imports import types
from wit_world.imports.exchange import Request, Response
from wit_world.imports.types import Context, FaultKind, FieldProblem, Payload

__all__ = ["NULL", "Context", "Fault", "FaultKind", "FieldProblem", "adapter", "not_found"]

#: A member of an answer that is null.
NULL = object()


class Fault(Exception):
    """Why there is no answer. `code` is one that the contract declares; `diagnostic` goes to the plugin's log only."""

    def __init__(
        self,
        kind: FaultKind,
        code: str,
        message: str,
        *,
        problems: list[FieldProblem] | None = None,
        retry_after_ms: int | None = None,
        diagnostic: str | None = None,
    ) -> None:
        super().__init__(code)
        self.record = types.Fault(kind, code, message, problems or [], retry_after_ms, diagnostic)


def not_found(code: str, message: str) -> Fault:
    """What was asked about does not exist."""
    return Fault(FaultKind.NOT_FOUND, code, message)


def internal(code: str, diagnostic: str) -> Fault:
    """The adapter itself failed."""
    return Fault(FaultKind.INTERNAL, code, "the service failed to answer", diagnostic=diagnostic)


def adapter(probe: Callable[[Any], list[Any]] | None = None, /, **operations: Callable[..., Any]) -> tuple[type, type]:
    """The two classes that the world exports: what answers the operations named, and what answers the host's probe.

    A function that takes a second argument is given the `Context`: who asks, and for what.
    """

    class Handler:
        def handle(self, ctx: Context, req: Request) -> Response:
            try:
                function = operations.get(ctx.service.operation)
                if function is None:
                    raise internal("OPERATION_NOT_ANSWERED", f"`adapter` does not name `{ctx.service.operation}`")
                arguments = [json.loads(req.body.data)]
                if function.__code__.co_argcount == 2:
                    arguments.append(ctx)
                answer = function(*arguments)
            except Fault as fault:
                _raise(fault)
            except Exception as error:  # Its text may hold personal data: only its type is told.
                _raise(internal("ADAPTER_FAILED", f"{type(error).__name__} in `{ctx.service.operation}`"))
            data = b"" if answer is None else json.dumps(_document(answer), ensure_ascii=False).encode()
            return Response(Payload("application/json", data), [])

    class Probe:
        def run(self, depth: Any) -> list[Any]:
            return probe(depth) if probe else []

    return Handler, Probe


def _raise(fault: Fault) -> NoReturn:
    raise Err(fault.record)


def _document(value: Any) -> Any:
    """The value without the members that are left out."""
    if isinstance(value, dict):
        return {name: _document(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_document(item) for item in value]
    return None if value is NULL else value
