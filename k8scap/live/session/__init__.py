"""A capture that runs: planned, started, watched over, ended, and closed whatever happens."""

from k8scap.live.session.live_capture import LiveCapture

__all__ = ["LiveCapture"]
