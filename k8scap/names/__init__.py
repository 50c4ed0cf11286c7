"""Addresses → names, over time, so that tables speak of `checkout → redis`."""

from k8scap.names.given import Given, names_given
from k8scap.names.over_time import Names

__all__ = ["Given", "Names", "names_given"]
