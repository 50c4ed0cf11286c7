"""Ways into a target's network namespace: from this machine, or through the Kubernetes API."""

from k8scap.live.ways.inside import Inside

__all__ = ["Inside"]
