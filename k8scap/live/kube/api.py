"""The Kubernetes API: verbs on paths, objects as the JSON that came, errors as sentences.

The `kubernetes` package knows who we are and where the server is; objects stay dictionaries: lighter than its
models, and indifferent to fields that a version adds.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlencode

from k8scap.errors import ClusterUnreachableError, TargetNotFoundError
from k8scap.live.kube import access, answers
from k8scap.live.kube.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from websocket import WebSocket

STRATEGIC = "application/strategic-merge-patch+json"
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_PAGE = 500
_WAITS = (0.3, 0.7, 1.5, 3.0, 4.0, 5.0)  # an API server that restarts is gone for some ten seconds
_AGAIN = frozenset({429, 500, 502, 503, 504})


def path(*segments: str) -> str:
    """/api/v1/namespaces/shop/pods …, each segment quoted."""
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


class Api:
    """One API server, asked as one user; threads may share it.

    Attributes
    ----------
    context: of the kubeconfig, "" inside a cluster. namespace: where names are looked for. server: its URL.
    """

    def __init__(self, known: access.Access) -> None:
        from kubernetes.client.rest import RESTClientObject

        self.context = known.context
        self.namespace = known.namespace
        self.server = str(known.configuration.host).rstrip("/")
        self._answered = False  # a server that was never there is not waited for
        self._configuration = known.configuration
        self._http = RESTClientObject(known.configuration).pool_manager

    @classmethod
    def connect(cls, *, context: str | None = None, kubeconfig: Path | None = None) -> Self:
        """As kubectl does; see `access.read` for what it raises. Nothing is asked of the server yet."""
        return cls(access.read(context=context, kubeconfig=kubeconfig))

    def get(self, where: str, **query: str) -> dict[str, Any]:
        """Raises NotPermittedError, TargetNotFoundError, ClusterUnreachableError."""
        return self._json("GET", where, query=query)

    def list(
        self, where: str, *, label_selector: str = "", field_selector: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """All pages of a list, and the resourceVersion from which a watch goes on."""
        query = _selected(label_selector, field_selector, {"limit": str(_PAGE)})
        found: list[dict[str, Any]] = []
        while True:
            page = self._json("GET", where, query=query)
            found.extend(page.get("items") or ())
            metadata = page.get("metadata", {})
            if not metadata.get("continue"):
                return found, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]

    def create(self, where: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        query = {"dryRun": "All"} if dry_run else {}
        return self._json("POST", where, query=query, body=body)

    def patch(
        self, where: str, body: Mapping[str, Any], *, content_type: str = STRATEGIC, dry_run: bool = False
    ) -> dict[str, Any]:
        query = {"dryRun": "All"} if dry_run else {}
        return self._json("PATCH", where, query=query, body=body, content_type=content_type)

    def delete(self, where: str, *, grace_seconds: int | None = None, uid: str = "") -> bool:
        """False where it was gone, or is another object of its name (`uid`)."""
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self._json("DELETE", where, body=body)
        except TargetNotFoundError:
            return False
        except answers.ConflictError:
            return False
        return True

    def watch(
        self,
        where: str,
        *,
        resource_version: str,
        seconds: int,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Watch:
        """Changes as (type, object), until the server ends it after `seconds`; `close` ends it at once."""
        more = {
            "watch": "1",
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        url = self._url(where, _selected(label_selector, field_selector, more))
        response = self._send("GET", url, stream=True, read_seconds=seconds + _READ_SECONDS)
        if response.status != 200:
            raise answers.error(response.status, response.data, verb="WATCH", where=where)
        return Watch(response)

    def allowed(
        self,
        verb: str,
        resource: str,
        *,
        group: str = "",
        subresource: str = "",
        namespace: str = "",
        name: str = "",
    ) -> bool:
        """What a SelfSubjectAccessReview says."""
        asked = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: value for key, value in asked.items() if value}},
        }
        where = path("apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews")
        return bool(self.create(where, review).get("status", {}).get("allowed"))

    def websocket(
        self, where: str, query: Sequence[tuple[str, str]], *, protocols: Sequence[str] = PROTOCOLS
    ) -> WebSocket:
        """A websocket that is open. Raises what `get` does, by the status of the handshake."""
        from k8scap.live.kube.sockets import Connector

        if not hasattr(self, "_connector"):
            self._connector = Connector(self._configuration)
        url = f"{self.server}{where}?{urlencode(query)}"
        return self._connector.connect(url, headers=self._headers(), protocols=protocols, where=where)

    def _json(
        self,
        method: str,
        where: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        url = self._url(where, query or {})
        response = self._send(method, url, body=body, content_type=content_type)
        if response.status >= 300:
            raise answers.error(response.status, response.data, verb=method, where=where)
        return answers.parsed(response.data, where=where)

    def _send(
        self,
        method: str,
        url: str,
        *,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        stream: bool = False,
        read_seconds: float = _READ_SECONDS,
    ) -> Any:
        """The answer; asked again where the server was away, and nothing can have been done twice."""
        import urllib3

        timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=read_seconds)
        data = None if body is None else json.dumps(body).encode()
        for wait in (*(_WAITS if self._answered else _WAITS[:1]), None):
            headers = {**self._headers(), "Accept": "application/json"}
            if data is not None:
                headers["Content-Type"] = content_type
            try:
                response = self._http.request(
                    method,
                    url,
                    body=data,
                    headers=headers,
                    timeout=timeout,
                    retries=False,
                    preload_content=not stream,
                )
            except urllib3.exceptions.HTTPError as error:
                if wait is None or not _may_repeat(method, error):
                    raise ClusterUnreachableError(
                        f"The API server {self.server} does not answer: {answers.reason(error)}.",
                        next_step="kubectl get --raw /readyz",
                    ) from None
            else:
                self._answered = True
                if wait is None or response.status not in _AGAIN or method in {"POST", "PATCH"}:
                    return response
                response.release_conn()
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _url(self, where: str, query: Mapping[str, str]) -> str:
        return f"{self.server}{where}" + (f"?{urlencode(query)}" if query else "")

    def _headers(self) -> dict[str, str]:
        """Who we are: asked anew each time, as tokens expire."""
        settings = self._configuration.auth_settings().values()
        return {str(s["key"]): str(s["value"]) for s in settings if s["in"] == "header" and s["value"]}


def _selected(label_selector: str, field_selector: str, more: Mapping[str, str]) -> dict[str, str]:
    query = {"labelSelector": label_selector, "fieldSelector": field_selector, **more}
    return {key: value for key, value in query.items() if value}


def _may_repeat(method: str, error: Exception) -> bool:
    """What only asks, or deletes, may be said twice; the rest only where it never got there."""
    import urllib3

    refused = isinstance(
        error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )
    hopeless = isinstance(error, urllib3.exceptions.SSLError | urllib3.exceptions.NameResolutionError)
    return not hopeless and (refused or method in {"GET", "DELETE"})
