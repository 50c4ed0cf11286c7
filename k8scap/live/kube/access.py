"""Which API server, as whom, in which namespace: a kubeconfig as kubectl reads it, or the pod's account."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from k8scap.errors import ClusterUnreachableError, NotPermittedError, UsageError

if TYPE_CHECKING:
    from kubernetes.client import Configuration

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_POOL = 64  # connections that are kept: one a thread


@dataclass(frozen=True)
class Access:
    """What `kubernetes` needs to connect; `context` is "" inside a cluster."""

    configuration: Configuration
    context: str
    namespace: str


def read(*, context: str | None, kubeconfig: Path | None) -> Access:
    """KUBECONFIG (files, with colons between), ~/.kube/config, or the service account of the pod we are in.

    Raises UsageError (no such context), NotPermittedError (no credentials), ClusterUnreachableError (there is
    no kubeconfig at all).
    """
    files = str(kubeconfig) if kubeconfig else _kubeconfigs()
    if _are_there(files):
        return _of_kubeconfig(files, context)
    if _has_account() and not context and not kubeconfig:
        return _of_account()
    raise ClusterUnreachableError(
        f"There is no kubeconfig ({files}), and this is no pod with an account of its own.",
        next_step="export KUBECONFIG=…, or on the pod's node: k8scap capture container/ID",
    )


def is_told() -> bool:
    """Whether anything says which API server to ask; it is read in neither case."""
    return _are_there(_kubeconfigs()) or _has_account()


def _kubeconfigs() -> str:
    return os.environ.get("KUBECONFIG") or "~/.kube/config"


def _are_there(files: str) -> bool:
    return any(Path(part).expanduser().is_file() for part in files.split(os.pathsep) if part)


def _has_account() -> bool:
    return (_ACCOUNT / "token").is_file()


def _of_kubeconfig(files: str, context: str | None) -> Access:
    import yaml
    from kubernetes import client, config

    try:
        known, current = config.list_kube_config_contexts(files)
        chosen = _context(known, current, context)
        configuration = client.Configuration()
        with _Overheard() as said:
            config.load_kube_config(
                files, context=chosen["name"], client_configuration=configuration, persist_config=False
            )
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"The kubeconfig {files} cannot be used: {_one_line(error)}.", next_step="kubectl config view"
        ) from None
    if said.lines and not configuration.api_key and not configuration.cert_file:
        raise NotPermittedError(
            f"The credentials of the context {chosen['name']} could not be had: {_one_line(said.lines[-1])}.",
            next_step=f"kubectl --context {chosen['name']} get pods",
        )
    configuration.connection_pool_maxsize = _POOL
    return Access(configuration, str(chosen["name"]), str(chosen["context"].get("namespace") or "default"))


def _context(
    known: list[dict[str, Any]], current: dict[str, Any] | None, asked: str | None
) -> dict[str, Any]:
    if asked is None and current:
        return current
    for context in known:
        if context["name"] == asked:
            return context
    names = ", ".join(str(context["name"]) for context in known) or "none"
    what = f"no context {asked!r}" if asked else "no current context"
    raise UsageError(f"The kubeconfig has {what}, only {names}.", next_step="kubectl config get-contexts")


def _of_account() -> Access:
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
        namespace = (_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except (config.ConfigException, OSError) as error:
        raise ClusterUnreachableError(f"The pod's service account cannot be used: {error}.") from None
    configuration.connection_pool_maxsize = _POOL
    return Access(configuration, "", namespace or "default")


class _Overheard(logging.Handler):
    """What the client only logs: that a credential plugin failed, for one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


def _one_line(error: object) -> str:
    return " ".join(str(error).split()).rstrip(".")[:500]
