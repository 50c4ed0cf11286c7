"""The Docker engine that the environment or the current `docker context` means, or one clear sentence."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from k8scap.errors import (
    K8scapError,
    NotPermittedError,
    TargetError,
    TargetNotFoundError,
    ToolMissingError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient

DEFAULT_HOST = "unix:///var/run/docker.sock"
TIMEOUT_S = 20


@contextlib.contextmanager
def connected() -> Iterator[DockerClient]:
    """A client of the engine, closed in the end; what the engine refuses meanwhile becomes our errors too.

    The engine is the one that the docker command takes: DOCKER_HOST, else DOCKER_CONTEXT, else the current
    context. Raises UsageError (no such context), TargetNotFoundError where the engine is behind ssh, on
    another machine, NotPermittedError, and ToolMissingError where none answers.
    """
    import docker
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    host, options = _chosen()
    if host.startswith("ssh://"):
        raise TargetNotFoundError(
            f"The Docker engine is on another machine ({host}): a namespace can only be entered there.",
            next_step=f"ssh {host.removeprefix('ssh://')} sudo k8scap capture docker/NAME",
        )
    try:
        client = (
            docker.DockerClient(**options, timeout=TIMEOUT_S)
            if options
            else docker.from_env(timeout=TIMEOUT_S)
        )
        with contextlib.closing(client):
            yield client
    except APIError as error:
        raise TargetError(
            f"The Docker engine at {host} refused: {error.explanation or error}.", next_step="docker info"
        ) from None
    except (DockerException, RequestException) as error:
        raise _explained(error, host) from None


def _chosen() -> tuple[str, dict[str, Any]]:
    """The engine's address, and what DockerClient needs to know (nothing: the environment tells it)."""
    if host := os.environ.get("DOCKER_HOST"):
        return host, {}
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name

    name = os.environ.get("DOCKER_CONTEXT") or get_current_context_name()
    try:
        context = ContextAPI.get_context(name)
    except Exception as error:  # noqa: BLE001 - the SDK raises plain Exception for a broken context file
        raise UsageError(
            f"The docker context {name} cannot be read: {error}.", next_step="docker context ls"
        ) from None
    if context is None:  # the SDK itself would quietly take the local engine
        raise UsageError(f"There is no docker context {name}.", next_step="docker context ls")
    host = str(context.Host or DEFAULT_HOST)
    return host, {"base_url": host, "tls": context.TLSConfig or False}


def _explained(error: Exception, host: str) -> K8scapError:
    causes = list(_causes(error))
    if any(isinstance(cause, PermissionError) for cause in causes):
        return NotPermittedError(
            f"The Docker engine at {host} does not let us in.", next_step="sudo k8scap capture docker/NAME"
        )
    why = next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    return ToolMissingError(
        "docker",
        message=f"No Docker engine answers at {host}: {why or error}.",
        next_step="sudo systemctl start docker, or set DOCKER_HOST to where the engine listens",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """What an error was raised from, and what it carries: requests and urllib3 hide the OSError in both."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = (current.__cause__, current.__context__, *current.args)
        waiting.extend(item for item in inner if isinstance(item, BaseException))
