"""From a container, by its engine's name or by its ID, to the process whose namespaces are its own."""

from k8scap.live.containers.lookup import ContainerProcess, find_by_id, find_docker

__all__ = ["ContainerProcess", "find_by_id", "find_docker"]
