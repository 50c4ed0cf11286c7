"""Recordings opened for analysis: one `Capture`, its tables made when they are asked for."""

from __future__ import annotations

from k8scap.analysis.capture import Capture
from k8scap.analysis.conversation import Conversation
from k8scap.analysis.diagnosis import diagnose
from k8scap.analysis.loading import load

__all__ = ["Capture", "Conversation", "diagnose", "load"]
