"""The plan of a link: what happens to which packet, in words that a person writes and a seed decides.

A rule is one line, `ACTION WORD… KEY=VALUE…`, for example:

    drop port=5001 connection=2 segment=3       the 3rd data segment of the 2nd connection to port 5001
    drop dns=broken.lab.test to=client          each DNS answer about that name
    drop tcp to=server data p=0.02              two of a hundred data segments, decided by the seed
    delay port=80 segment=1 ms=200              later, and what follows on that connection waits behind it
    reorder to=server data segment=4 ms=3       later, while others pass
    duplicate to=server data segment=5 ms=1     once more, 1 ms after
    mtu bytes=1300 icmp=no                      a black hole for what is larger (icmp=yes: with an ICMP error)
    reject port=9000 code=13                    refused by ICMP, as a firewall's REJECT does
    reset port=80 idle=1500                     a middlebox that forgets connections, and answers with a reset
    drop syn port=443 full=64                   new connections, while so many others to this server are open
    damage syn port=80 copy=1                   with a checksum that is wrong: the receiver throws it away
    untranslated port=80 to=client segment=9    from the server's own address, not from the Service's
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from k8scap.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from k8scap.lab.flows import Flow

Action = Literal["drop", "delay", "reorder", "duplicate", "mtu", "reject", "reset", "untranslated", "damage"]
Side = Literal["server", "client"]
ACTIONS: tuple[Action, ...] = get_args(Action)
ENDING: tuple[Action, ...] = ("drop", "mtu", "reject", "reset")  # the packet does not pass
SIDES: tuple[Side, ...] = get_args(Side)
FLAGS = {"fin": 0x01, "syn": 0x02, "rst": 0x04}
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
REJECT_CODES = (3, 10, 13)  # of ICMP's destination unreachable: port, host prohibited, filtered
_FORMS = "docs/lab.md has the words of a rule; an example: drop port=5001 connection=2 segment=3"


class Sight(NamedTuple):
    """One packet as the plan sees it, at the moment it enters the link.

    `packet` and `segment` count from 1 within one direction of one connection; `segment` is 0 for what
    carries no data; `copy` is how often these bytes were sent, this time included (0: nothing to repeat).
    Of a packet in a tunnel `data` is the inner one. `silent_ms` is the longest that the connection has been
    silent until now, in both directions; `others` is how many others are open to its server's address and
    port, 0 where it is open itself.
    """

    flow: Flow
    packet: int
    segment: int
    copy: int
    flags: int
    data: bytes
    silent_ms: float = 0.0
    others: int = 0


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which packets, and what becomes of them. Of several rules the first that matches decides.

    `connection` counts the connections to one server address and port. `p` below 1 is a chance that the
    seed decides for each packet by its place, never by its time: see `chance`.
    """

    action: Action
    protocol: str = ""
    port: int | None = None
    connection: int | None = None
    to: str = ""
    data: bool = False
    flag: str = ""
    segment: tuple[int, ...] = ()
    packet: tuple[int, ...] = ()
    copy: tuple[int, ...] = ()
    dns: str = ""
    p: float = 1.0
    ms: float = 0.0
    bytes: int = 0
    icmp: bool = True
    idle: float = 0.0
    code: int = 3
    both: bool = False
    full: int = 0

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read one line of the plan language. Raises UsageError."""
        action, *words = text.split() or [""]
        if action not in ACTIONS:
            raise UsageError(f"A rule begins with {', '.join(ACTIONS)}, not {action!r}.", next_step=_FORMS)
        values: dict[str, Any] = dict(_read_word(word, text) for word in words)
        rule = cls(action=action, **values)
        rule.check(text)
        return rule

    def check(self, text: str) -> None:
        """Raise UsageError where the numbers make no sense together."""
        wrong = {
            "p is a chance between 0 and 1": not 0 <= self.p <= 1,
            "ms is from 0 to 60000": not 0 <= self.ms <= 60_000,
            "idle is from 0 to 60000 (ms)": not 0 <= self.idle <= 60_000,
            "full is 0 or more": self.full < 0,
            "code is one of 3, 10, 13": self.code not in REJECT_CODES,
            "mtu needs bytes=N, 68 at the least (RFC 791)": self.action == "mtu" and self.bytes < 68,
            f"to is one of {', '.join(SIDES)}": self.to not in {"", *SIDES},
        }
        for sentence in (s for s, is_wrong in wrong.items() if is_wrong):
            raise UsageError(f"{sentence}: {text!r}.", next_step=_FORMS)

    def __str__(self) -> str:
        words = [self.action, self.protocol, "data" if self.data else "", self.flag]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in {"action", "protocol", "data", "flag"} and value != field.default:
                words.append(f"{field.name}={_write_value(value)}")
        return " ".join(word for word in words if word)

    def concerns(self, flow: Flow) -> bool:
        """Whether packets of this direction of this connection can match at all."""
        return (
            (not self.protocol or flow.protocol == _PROTOCOLS[self.protocol])
            and (self.port is None or flow.server_port == self.port)
            and (self.connection is None or flow.nth == self.connection)
            and (not self.to or flow.to == self.to)
        )

    def matches(self, sight: Sight) -> bool:
        """Whether this packet, of a flow that the rule concerns, is meant; chance left aside."""
        return (
            (not (self.data or self.segment) or sight.segment > 0)
            and (not self.segment or sight.segment in self.segment)
            and (not self.packet or sight.packet in self.packet)
            and (not self.copy or sight.copy in self.copy)
            and (not self.flag or bool(sight.flags & FLAGS[self.flag]))
            and (self.action != "mtu" or len(sight.data) > self.bytes)
            and (not self.idle or sight.silent_ms >= self.idle)
            and (not self.full or sight.others >= self.full)
            and (not self.dns or asks_about(sight, self.dns))
        )


class Plan:
    """Rules and a seed: the same packets at the same places always meet the same fate."""

    def __init__(self, rules: tuple[Rule, ...] = (), *, seed: int = 1) -> None:
        self.rules = rules
        self.seed = seed

    def rules_for(self, flow: Flow) -> tuple[Concern, ...]:
        """The rules that the packets of a flow are held against."""
        place = (flow.server_port, flow.nth, flow.to)
        return tuple(
            Concern(number, rule, blake2b(_words(self.seed, rule, *place) + b" ", digest_size=8))
            for number, rule in enumerate(self.rules)
            if rule.concerns(flow)
        )

    def decide(self, sight: Sight) -> tuple[int, Rule] | None:
        """The rule that decides about a packet, with its place in the plan; None: it just passes.

        A rule with a chance draws `chance(seed, rule, server port, nth, to, "segment", segment, copy)`, or
        `… "packet", packet)` for packets without data.
        """
        for number, rule, drawing in sight.flow.rules:
            if rule.matches(sight) and (rule.p >= 1 or _draw(drawing, sight) < rule.p):
                return number, rule
        return None


class Concern(NamedTuple):
    """A rule that concerns a flow, its place in the plan, and the hash of what all its drawings share."""

    number: int
    rule: Rule
    drawing: blake2b


def chance(seed: int, *place: object) -> float:
    """A number in [0, 1) that belongs to a seed and a place: BLAKE2b of the words, as a 64-bit fraction.

    A hash and not a generator, so that packets may come in any order and still meet the same fate.
    """
    return _fraction(blake2b(_words(seed, *place), digest_size=8))


def _draw(drawing: blake2b, sight: Sight) -> float:
    whole = drawing.copy()
    segment, copy = sight.segment, sight.copy
    whole.update(b"segment %d %d" % (segment, copy) if segment else b"packet %d" % sight.packet)
    return _fraction(whole)


def _words(*words: object) -> bytes:
    return " ".join(map(str, words)).encode()


def _fraction(drawn: blake2b) -> float:
    return int.from_bytes(drawn.digest()) / 2**64


def asks_about(sight: Sight, name: str) -> bool:
    """Whether a UDP packet is a DNS message (RFC 1035) whose question bears this name."""
    labels = [label.encode() for label in name.rstrip(".").lower().split(".")]
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    start = 20 + 8 + 12  # IPv4, UDP and DNS headers
    return sight.flow.protocol == 17 and sight.data[start : start + len(question)].lower() == question


def _read_word(word: str, text: str) -> tuple[str, object]:
    key, equals, value = word.partition("=")
    if not equals:
        bare = {"data": ("data", True)} | {p: ("protocol", p) for p in _PROTOCOLS}
        bare |= {flag: ("flag", flag) for flag in FLAGS}
        if key not in bare:
            raise UsageError(f"{key!r} is no word of a rule: {text!r}.", next_step=_FORMS)
        return bare[key]
    try:
        return key, _READERS[key](value)
    except KeyError:
        raise UsageError(f"{word!r} is no part of a rule: {text!r}.", next_step=_FORMS) from None
    except ValueError:
        raise UsageError(f"{key} cannot be {value!r}: {text!r}.", next_step=_FORMS) from None


def _read_numbers(value: str) -> tuple[int, ...]:
    return tuple(int(part) for part in value.split(","))


def _read_yes_or_no(value: str) -> bool:
    if value not in {"yes", "no"}:
        raise ValueError(value)
    return value == "yes"


def _write_value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:.12g}" if isinstance(value, float) else str(value)


_READERS: dict[str, Callable[[str], object]] = {
    "port": int,
    "connection": int,
    "to": str,
    "segment": _read_numbers,
    "packet": _read_numbers,
    "copy": _read_numbers,
    "dns": str,
    "p": float,
    "ms": float,
    "bytes": int,
    "icmp": _read_yes_or_no,
    "idle": float,
    "code": int,
    "both": _read_yes_or_no,
    "full": int,
}
