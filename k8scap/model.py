"""The frozen things that travel between the floors: targets, specs, manifests, findings, quality."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, overload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from k8scap.cards.answer import Answer

Status = Literal["found", "ruled_out", "not_judged"]
Severity = Literal["info", "warning", "critical"]
State = Literal["running", "complete", "incomplete"]

MANIFEST_FORMAT = 1
CAPTURE_KIND = "capture"
_SHARED = {"started", "ended", "names", "events", "dataplane", "notes"}


@dataclass(frozen=True, kw_only=True)
class CaptureSpec:
    """What to capture and when to stop: whichever limit comes first.

    `seconds`, `packets` and `size` (bytes) of None mean no such limit; `snaplen` 0 means whole packets;
    `ring` is (files, bytes a file) or None.
    """

    filter: str = ""
    exact_filter: bool = False
    interfaces: tuple[str, ...] = ()
    seconds: float | None = 60.0
    packets: int | None = None
    size: int | None = 500_000_000
    snaplen: int = 0
    ring: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Counters:
    """tcpdump's own account at the end, and ours: `on_disk` counts whole records in the kept files.

    `rotated_away` were in files that a ring let go, `past_limit` came between the limit and tcpdump's end
    and are left out on purpose.
    """

    captured: int | None = None
    received: int | None = None
    dropped: int | None = None
    interface_dropped: int | None = None
    on_disk: int = 0
    rotated_away: int = 0
    past_limit: int = 0

    @property
    def complete(self) -> bool:
        """Records on disk (and those let go on purpose) are all that tcpdump captured; none dropped."""
        return self.dropped == 0 and self.captured == self.on_disk + self.rotated_away + self.past_limit


@dataclass(frozen=True, kw_only=True)
class RecordingFile:
    """One file of a recording: its name beside the manifest, its bytes and whole records."""

    name: str
    bytes: int
    records: int


@dataclass(frozen=True, kw_only=True)
class NameEntry:
    """Who an address was, and when (None: all the time).

    `kind` is one of pod, service, node, external, host, container, gateway; `workload` what made a pod, as
    kubectl writes it ("deploy/checkout"); `source` who says so: kubernetes, docker, hosts-file, csv, dns,
    tls, user.
    """

    address: str
    name: str
    kind: str = "host"
    namespace: str = ""
    start: datetime | None = None
    end: datetime | None = None
    workload: str = ""
    node: str = ""
    zone: str = ""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Who, where, when, how: stands beside a recording as NAME.json. Times are UTC.

    `target` holds text, kind, name, pid, start_time, netns (inode), container_id, image, node; `limits`
    the spec's; `ended_by` is one of seconds, packets, size, stopped, interrupted, terminated, command,
    target-gone, disk-full, write-failed, tcpdump-ended, connection-lost, killed. `evidence` is what the
    host's counters said meanwhile:
    {"interval": s, "start": {...}, "end": {...}, "samples": [{"time": ..., <changed counters>}]}.
    `capture` is the file name of the manifest over all, where several points were captured together;
    `events` are Kubernetes' of the target; `dataplane` is what could be seen of CNI, kube-proxy and mesh.
    """

    name: str
    point: str
    target: Mapping[str, Any] = field(default_factory=dict)
    via: str = "local"
    interface: str = ""
    interfaces: Mapping[str, str] = field(default_factory=dict)
    link_type: str = ""
    command: tuple[str, ...] = ()
    filter: str = ""
    effective_filter: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    started: datetime | None = None
    ended: datetime | None = None
    state: State = "running"
    ended_by: str = ""
    files: tuple[RecordingFile, ...] = ()
    counters: Counters = field(default_factory=Counters)
    names: tuple[NameEntry, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    pid: int | None = None
    capture: str = ""
    events: tuple[Mapping[str, Any], ...] = ()
    dataplane: Mapping[str, Any] = field(default_factory=dict)
    format: int = MANIFEST_FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; times in ISO 8601 with their zone."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Manifest:
        """The inverse of `to_dict`; keys that this version does not know are left out."""
        known = {f.name for f in fields(cls)} - _SHARED
        values = {k: v for k, v in data.items() if k in known}
        values["files"] = tuple(RecordingFile(**f) for f in values.get("files", ()))
        values["counters"] = Counters(**values.get("counters", {}))
        values["command"] = tuple(values.get("command", ()))
        return cls(**values, **_shared(data))


@dataclass(frozen=True, kw_only=True)
class CaptureManifest:
    """The manifest over all recordings that were captured together: NAME.json beside NAME.POD.pcap.

    `recordings` holds of each {"name", "point", "state", "ended_by", "files": [{"name", "bytes", "records"}],
    "counters"}; `name` is what its files and its own manifest begin with, `names`, `events` and `dataplane`
    hold for all of them.
    """

    name: str
    started: datetime | None = None
    ended: datetime | None = None
    state: State = "running"
    ended_by: str = ""
    recordings: tuple[Mapping[str, Any], ...] = ()
    names: tuple[NameEntry, ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    dataplane: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kind: str = CAPTURE_KIND
    format: int = MANIFEST_FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; times in ISO 8601 with their zone."""
        return {key: _plain(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CaptureManifest:
        """The inverse of `to_dict`; keys that this version does not know are left out."""
        recordings = tuple(dict(recording) for recording in data.get("recordings", ()))
        plain = {key: data[key] for key in ("name", "state", "ended_by", "format") if key in data}
        return cls(**plain, recordings=recordings, **_shared(data))


def delta(evidence: Mapping[str, Any], counter: str) -> int | None:
    """How far a counter of a manifest's `evidence` moved over the capture; None where it is not known.

    `counter` is a name as the kernel has it, behind its protocol or file: `TcpExt.ListenOverflows`.
    """
    before, after = (evidence.get(end, {}).get(counter) for end in ("start", "end"))
    return after - before if isinstance(before, int) and isinstance(after, int) else None


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good the capture is, measured before anything is judged from it.

    `complete` is None where no manifest tells. `truncated` counts frames cut by the snaplen,
    `missing_handshakes` TCP conversations whose SYN was not captured, `one_sided` those with packets in
    one direction only (a SYN that nobody answers is none). Of the `tcp_frames`, `duplicates` show a packet
    that was captured already, `super_packets` are longer than Ethernet's (offload joined them;
    `largest_frame` in bytes), and wrong checksums are those that the capture's own side sent, that it
    received, or of unknown direction.
    `clock_jumps` counts the times at which the capture's clock was set. `side` says on which side of its
    connections the capture stands: client, server, middle, or empty where it is unknown or differs.
    `notes` are sentences for people.
    """

    frames: int = 0
    complete: bool | None = None
    cut_off: bool = False
    dropped: int | None = None
    truncated: int = 0
    tcp_conversations: int = 0
    missing_handshakes: int = 0
    one_sided: int = 0
    tcp_frames: int = 0
    duplicates: int = 0
    super_packets: int = 0
    largest_frame: int = 0
    bad_checksums_sent: int = 0
    bad_checksums_received: int = 0
    bad_checksums_unknown: int = 0
    clock_jumps: int = 0
    side: str = ""
    notes: tuple[str, ...] = ()

    @property
    def bad_checksums(self) -> int:
        """TCP frames with a wrong checksum, whoever sent them."""
        return self.bad_checksums_sent + self.bad_checksums_received + self.bad_checksums_unknown

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {key: _plain(value) for key, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True, repr=False)
class Finding:
    """What one rule says of a capture, as `diagnose --format json` prints it. It shows as a card."""

    rule: str
    status: Status
    title: str
    severity: Severity = "info"
    confidence: float = 0.0
    consistent_with: tuple[str, ...] = ()
    source: str = ""
    destination: str = ""
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    affected: int = 0
    total: int = 0
    seconds_lost: float = 0.0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    frames: tuple[int, ...] = ()
    frame_count: int = 0
    display_filter: str = ""
    next_step: str = ""
    reason: str = ""
    point: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {key: _plain(value) for key, value in asdict(self).items()}

    def __repr__(self) -> str:
        from k8scap.cards.finding import text

        return text(self)

    def _repr_html_(self) -> str:
        from k8scap.cards.finding import html

        return html(self)


class Findings(list[Finding]):
    """Every rule's word, worst first: a list that shows as cards, and its slices too."""

    @property
    def found(self) -> Findings:
        return Findings(f for f in self if f.status == "found")

    @property
    def not_judged(self) -> Findings:
        return Findings(f for f in self if f.status == "not_judged")

    @property
    def ruled_out(self) -> Findings:
        return Findings(f for f in self if f.status == "ruled_out")

    def answer(self, question: str, *rules: str) -> Answer:
        """What `rules` (every rule, where none is named) say to a question, on one card.

        The worst that was found, its evidence and the next step; where nothing was found, what was ruled out,
        what these rules could not judge, and what else was found.
        """
        from k8scap.cards.answer import answered

        return answered(self, question, rules)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Finding: ...
    @overload
    def __getitem__(self, index: slice) -> Findings: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Finding | Findings:
        return (
            Findings(super().__getitem__(index)) if isinstance(index, slice) else super().__getitem__(index)
        )

    def __repr__(self) -> str:
        from k8scap.cards.finding import text_of_all

        return text_of_all(self)

    def _repr_html_(self) -> str:
        from k8scap.cards.finding import html_of_all

        return html_of_all(self)


SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")


def at_or_above(finding: Finding, severity: Severity) -> bool:
    """Whether it was found, and is at least as bad as `severity`."""
    return finding.status == "found" and SEVERITIES.index(finding.severity) >= SEVERITIES.index(severity)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _time(value: str | None) -> datetime | None:
    """A time without a zone is UTC."""
    if value is None:
        return None
    time = datetime.fromisoformat(value)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _shared(data: Mapping[str, Any]) -> dict[str, Any]:
    """What both manifests have, out of their JSON."""
    return {
        "started": _time(data.get("started")),
        "ended": _time(data.get("ended")),
        "names": tuple(name_entry(n) for n in data.get("names", ())),
        "events": tuple(dict(event) for event in data.get("events", ())),
        "dataplane": dict(data.get("dataplane", {})),
        "notes": tuple(data.get("notes", ())),
    }


def name_entry(data: Mapping[str, Any]) -> NameEntry:
    """One of a manifest's `names`; keys that this version does not know are left out."""
    values: dict[str, Any] = {f.name: str(data[f.name]) for f in fields(NameEntry) if f.name in data}
    return NameEntry(**{**values, **{key: _time(data.get(key)) for key in ("start", "end")}})
