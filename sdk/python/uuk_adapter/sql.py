"""Statements of the manifest. The functions that `uuk adapter typegen` writes are made of these."""

from typing import Any

from componentize_py_types import Err
from wit_world.imports import sql
from wit_world.imports.types import FaultKind

from . import Fault, internal

_UNAVAILABLE = (sql.SqlError_Busy, sql.SqlError_Unavailable)


def rows(statement: str, params: dict[str, tuple[type, Any]]) -> list[list[Any]]:
    """Runs a statement. Each parameter is its type and its value, which is `None` for null."""
    values = [(name, sql.Value_Null() if value is None else of(value)) for name, (of, value) in params.items()]
    try:
        result = sql.run(statement, values)
    except Err as error:
        raise _fault(error.value) from None
    return [[_plain(value) for value in row] for row in result.rows]


def optional_row(statement: str, params: dict[str, tuple[type, Any]]) -> list[Any] | None:
    """Runs a statement whose `max_rows` is 1."""
    found = rows(statement, params)
    return found[0] if found else None


def _plain(value: Any) -> Any:
    """The value itself: text for everything whose portable form is text."""
    return None if isinstance(value, sql.Value_Null) else value.value


def _fault(error: Any) -> Fault:
    diagnostic = f"{type(error).__name__}: {getattr(error, 'value', '')}"
    if isinstance(error, sql.SqlError_Deadline):
        message = "the database did not answer in time"
        return Fault(FaultKind.UPSTREAM_TIMEOUT, "DATABASE_TIMEOUT", message, diagnostic=diagnostic)
    if isinstance(error, _UNAVAILABLE):
        message = "the database cannot be reached"
        return Fault(FaultKind.UPSTREAM_UNAVAILABLE, "DATABASE_UNAVAILABLE", message, diagnostic=diagnostic)
    return internal("DATABASE_ERROR", diagnostic)
