"""Addresses → names, over time, so that tables speak of `checkout → redis`."""

from k8scap.names.over_time import Names

__all__ = ["Names"]
