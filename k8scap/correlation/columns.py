"""The columns of the tables that `correlate` makes."""

from __future__ import annotations

from k8scap.schema import Column

_NA, _NAN = "<NA>", "NaN"

PACKETS: tuple[Column, ...] = (
    Column("point_a", "category", "one of the two points"),
    Column("number_a", "int64", "its frame"),
    Column("point_b", "category", "the other point"),
    Column("number_b", "int64", "its frame of the same packet"),
    Column("time", "datetime64[ns, UTC]", "when it was captured at a, by a's clock"),
    Column("protocol", "category", "TCP, UDP or ICMP (of either version)"),
    Column("stream_a", "Int32", "Wireshark's stream number at a", absent=_NA),
    Column("stream_b", "Int32", "and at b", absent=_NA),
    Column("src", "category", "source address, as a saw it"),
    Column("src_port", "Int32", "its port", absent=_NA),
    Column("dst", "category", "destination address, as a saw it"),
    Column("dst_port", "Int32", "its port", absent=_NA),
    Column("payload_length", "int64", "payload", "bytes"),
    Column("from_point", "category", "the point that it passed first", absent=_NAN),
    Column("to_point", "category", "the point that it passed then", absent=_NAN),
    Column("delay_ms", "float64", "from one to the other, by clocks set right", "ms", _NAN),
)

MISSING: tuple[Column, ...] = (
    Column("point", "category", "the point that has it"),
    Column("number", "int64", "its frame there"),
    Column("time", "datetime64[ns, UTC]", "when it was captured there, by that point's clock"),
    Column("absent_at", "category", "the point that has it not"),
    Column("protocol", "category", "TCP, UDP or ICMP (of either version)"),
    Column("stream", "Int32", "Wireshark's stream number", absent=_NA),
    Column("src", "category", "source address"),
    Column("src_port", "Int32", "its port", absent=_NA),
    Column("dst", "category", "destination address"),
    Column("dst_port", "Int32", "its port", absent=_NA),
    Column("seq", "Int64", "TCP sequence number, relative, not wrapped at 4 GiB", "bytes", _NA),
    Column("payload_length", "int64", "payload", "bytes"),
    Column("from_point", "category", "the point that it should have passed first", absent=_NAN),
    Column("to_point", "category", "the point that it should have passed then", absent=_NAN),
    Column("verdict", "category", "lost (between from_point and to_point), not_captured (it passed, but "
           "absent_at's capture missed it), made_between, resegmented, duplicate or not_judged"),
    Column("reason", "category", "what the verdict rests on"),
    Column("confidence", "float64", "0 (not judged) to 1"),
)  # fmt: skip

CONNECTIONS: tuple[Column, ...] = (
    Column("protocol", "category", "TCP, UDP or ICMP (of either version)"),
    Column("point_a", "category", "one of the two points"),
    Column("stream_a", "Int32", "Wireshark's stream number there", absent=_NA),
    Column("src_a", "category", "who began it, as a saw it"),
    Column("src_port_a", "Int32", "its port", absent=_NA),
    Column("dst_a", "category", "with whom"),
    Column("dst_port_a", "Int32", "its port", absent=_NA),
    Column("point_b", "category", "the other point"),
    Column("stream_b", "Int32", "Wireshark's stream number there", absent=_NA),
    Column("src_b", "category", "the same ends, as b saw them"),
    Column("src_port_b", "Int32", "its port", absent=_NA),
    Column("dst_b", "category", "with whom"),
    Column("dst_port_b", "Int32", "its port", absent=_NA),
    Column("rewritten", "bool", "whether addresses or ports differ: NAT"),
    Column("packets", "int64", "packets that both points have"),
)

CLOCKS: tuple[Column, ...] = (
    Column("point_a", "category", "whose clock is taken for right"),
    Column("point_b", "category", "whose clock is compared with it"),
    Column("packets", "int64", "packets that both points have"),
    Column("time", "datetime64[ns, UTC]", "when the offset is known best, by a's clock", absent="NaT"),
    Column("offset_ms", "float64", "b's clock minus a's, on a path as long either way", "ms", _NAN),
    Column("noise_ms", "float64", "what the offset may be wrong by on such a path", "ms", _NAN),
    Column("asymmetry_ms", "float64", "what it may be wrong by on any: half the fastest round trip between "
           "the points, which no capture can tell from an offset", "ms", _NAN),
    Column("drift_ppm", "float64", "how much faster b's clock goes", "ppm", _NAN),
    Column("drift_error_ppm", "float64", "what the drift may be wrong by", "ppm", _NAN),
    Column("stepped", "bool", "a clock was set meanwhile: no one offset fits"),
)  # fmt: skip

PATHS: tuple[Column, ...] = (
    Column("from_point", "category", "the point that packets pass first"),
    Column("to_point", "category", "the point that they pass then"),
    Column("passed", "int64", "packets that both points have"),
    Column("lost", "int64", "packets lost between them"),
    Column("loss_percent", "float64", "lost, of all that was sent into it", "%", _NAN),
    Column("not_captured", "int64", "packets that passed, and either point's capture missed"),
    Column("min_ms", "float64", "the fastest packet's delay", "ms", _NAN),
    Column("p50_ms", "float64", "the median delay", "ms", _NAN),
    Column("p90_ms", "float64", "nine of ten are at most as late", "ms", _NAN),
    Column("p99_ms", "float64", "ninety-nine of a hundred are at most as late", "ms", _NAN),
    Column("max_ms", "float64", "the slowest packet's delay", "ms", _NAN),
)
