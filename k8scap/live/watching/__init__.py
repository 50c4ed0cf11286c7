"""A capture while it runs: its packets as a table that grows, and what a notebook shows of it."""

from k8scap.live.watching.watcher import Watcher

__all__ = ["Watcher"]
