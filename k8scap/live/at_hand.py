"""What could be captured from here, by name: this machine's containers, the pods of the current context.

Both call `prepared` when they begin to ask: what Python takes to load a client is not what a server takes to
answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def containers(prepared: Callable[[], None]) -> Iterator[str]:
    """Names of the running containers of the Docker engine; raises what `engine.connected` does."""
    import docker  # noqa: F401 - so that it is there when the clock begins to run

    from k8scap.live.containers.engine import connected

    prepared()
    with connected() as client:
        for container in client.api.containers():
            names = [str(name).lstrip("/") for name in container.get("Names") or ()]
            yield from [name for name in names if "/" not in name][:1]  # links have one


def pods(prepared: Callable[[], None], *, most: int) -> Iterator[tuple[str, str]]:
    """(namespace, name) of running pods where the kubeconfig's current context points to; raises as `Api`.

    None where nothing tells of a cluster.
    """
    from k8scap.live.kube import access

    if not access.is_told():
        return
    import kubernetes.config  # noqa: F401 - as above

    from k8scap.live.kube.api import Api, path

    prepared()
    api = Api.connect()
    answer = api.get(
        path("api", "v1", "namespaces", api.namespace, "pods"),
        limit=str(most),
        fieldSelector="status.phase=Running",
    )
    for pod in answer.get("items") or ():
        yield api.namespace, str(pod.get("metadata", {}).get("name", ""))
