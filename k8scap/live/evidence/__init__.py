"""What the host's own counters say while a capture runs."""

from k8scap.live.evidence.sampler import Sampler, delta, thinned

__all__ = ["Sampler", "delta", "thinned"]
