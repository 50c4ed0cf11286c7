"""Frames written again as a pcapng that Wireshark opens: with names, comments and points."""

from k8scap.pcapng.frames import PointFrames
from k8scap.pcapng.resolution import HeldNames
from k8scap.pcapng.writing import write_pcapng

__all__ = ["HeldNames", "PointFrames", "write_pcapng"]
