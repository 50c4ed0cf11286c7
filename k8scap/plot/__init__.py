"""Views: a capture, or the table that one needs, and `ax=None` → matplotlib Axes.

None shows itself, and none changes matplotlib's global style.
"""

from k8scap.plot.conversations import conversations
from k8scap.plot.exchange_ladder import exchange_ladder
from k8scap.plot.interactive import interactive
from k8scap.plot.latency import latency
from k8scap.plot.latency_ecdf import latency_ecdf
from k8scap.plot.latency_heatmap import latency_heatmap
from k8scap.plot.one_way_delays import one_way_delays
from k8scap.plot.retransmissions import retransmissions
from k8scap.plot.service_map import service_map
from k8scap.plot.throughput import throughput
from k8scap.plot.time_sequence import time_sequence
from k8scap.plot.where_time_went import where_time_went

__all__ = [
    "conversations",
    "exchange_ladder",
    "interactive",
    "latency",
    "latency_ecdf",
    "latency_heatmap",
    "one_way_delays",
    "retransmissions",
    "service_map",
    "throughput",
    "time_sequence",
    "where_time_went",
]
