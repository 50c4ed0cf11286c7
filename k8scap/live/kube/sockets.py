"""Websockets to an API server: one TLS context for all, and handshakes whose refusal says why."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any

from k8scap.errors import ClusterUnreachableError
from k8scap.live.kube import answers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubernetes.client import Configuration
    from websocket import WebSocket

_CONNECT_SECONDS = 20.0
_WAITS = (0.3, 1.0, 2.0, 4.0, 6.0)  # refused connections, and servers that are starting


class Connector:
    """Opens websockets as a configuration says. The context is made once: reading the CAs takes its time."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._context = _context(configuration)

    def connect(
        self, url: str, *, headers: Mapping[str, str], protocols: Sequence[str], where: str
    ) -> WebSocket:
        """Raises NotPermittedError, TargetNotFoundError, UsageError, ClusterUnreachableError."""
        import websocket

        for wait in (*_WAITS, None):
            try:
                return self._open(url, headers, protocols)
            except websocket.WebSocketBadStatusException as error:
                status = int(error.status_code)
                if wait is None or status not in {429, 502, 503, 504}:
                    body = error.resp_body or b""
                    raw = body.encode() if isinstance(body, str) else bytes(body)
                    raise answers.error(status, raw, verb="POST", where=where) from None
            except ConnectionRefusedError as error:
                if wait is None:
                    raise self._unreachable(error) from None
            except (websocket.WebSocketException, OSError) as error:
                raise self._unreachable(error) from None
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _open(self, url: str, headers: Mapping[str, str], protocols: Sequence[str]) -> WebSocket:
        from kubernetes.stream.ws_client import websocket_proxycare
        from websocket import WebSocket

        configuration = self._configuration
        options: dict[str, Any] = {"context": self._context} if self._context else {}
        if configuration.tls_server_name:
            options["server_hostname"] = configuration.tls_server_name
        wanted = {"header": [f"{key}: {value}" for key, value in headers.items()]}
        if configuration.proxy or configuration.proxy_headers:
            wanted = websocket_proxycare(wanted, configuration, url, dict(headers))
        opened = WebSocket(sslopt=options, skip_utf8_validation=True)
        opened.connect(
            url.replace("http", "ws", 1),
            timeout=_CONNECT_SECONDS,
            subprotocols=list(protocols),
            suppress_origin=True,
            **wanted,
        )
        return opened

    def _unreachable(self, error: Exception) -> ClusterUnreachableError:
        return ClusterUnreachableError(
            f"No connection to {self._configuration.host}: {answers.reason(error)}.",
            next_step="kubectl get --raw /readyz",
        )


def _context(configuration: Configuration) -> ssl.SSLContext | None:
    if not str(configuration.host).startswith("https"):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif configuration.ssl_ca_cert:
        context.load_verify_locations(cafile=configuration.ssl_ca_cert)
    else:
        context.load_default_certs()
    if configuration.assert_hostname is False:
        context.check_hostname = False
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context
