"""A request as the table shows it: masked unless it was asked for, and printable in any case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.application.masking import arguments, message, path, printable, statement

if TYPE_CHECKING:
    from k8scap.tables.application.request import Request

_PATHS = ("HTTP/1", "HTTP/2", "gRPC")
_SQL = ("PostgreSQL", "MySQL")


def show(request: Request, *, masked: bool) -> None:
    """Mask what is secret, where that is wanted, and make all text of a request printable."""
    if masked and request.protocol in _PATHS:
        request.target = path(request.target)
    if masked and request.protocol in _SQL:
        double = request.protocol == "MySQL"
        request.target = statement(request.target, strings_in_double_quotes=double)
    if masked and request.protocol == "Redis":
        request.target = arguments(request.method, request.target)
    if masked:
        request.error = message(request.error)
    for name in ("method", "target", "host", "status", "error"):
        setattr(request, name, printable(getattr(request, name)))
