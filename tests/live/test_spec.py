"""Limits and sizes as users write them."""

import math

import pytest

from k8scap.errors import FilterError, UsageError
from k8scap.live.session import spec


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("500MB", 500_000_000),
        ("500 MB", 500_000_000),
        ("1.5GB", 1_500_000_000),
        ("64MiB", 67_108_864),
        ("1k", 1_000),
        ("2ki", 2_048),
        ("123456", 123_456),
        ("10mb", 10_000_000),
        ("1T", 1_000_000_000_000),
        (7_000, 7_000),
    ],
)
def test_sizes(text, count):
    assert spec.parse_size(text) == count


@pytest.mark.parametrize("text", ["", "MB", "-5MB", "5XB", "5 MB please", "1e6", "0", "10B", True, -1, 1.5])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match=r"is not a size|is too small"):
        spec.parse_size(text)


def test_the_defaults_end_every_capture():
    built = spec.build()

    assert (built.seconds, built.size, built.packets, built.ring) == (60, 500_000_000, None, None)


def test_beside_a_command_it_lasts_as_long_as_the_command():
    assert spec.build(command=["true"]).seconds is None
    assert spec.build(command=["true"], seconds=5).seconds == 5


def test_a_ring_bounds_the_disk_and_not_the_capture():
    assert spec.build(ring=3, size="10MB").ring == (3, 10_000_000)
    assert spec.build(ring=(4, "1MiB")).ring == (4, 1_048_576)
    assert spec.build(ring=3, size="10MB").size is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 0}, {"seconds": -1}, {"seconds": math.nan}, {"seconds": math.inf}, {"seconds": "soon"},
        {"packets": 0}, {"packets": -3}, {"packets": 1.5}, {"packets": True},
        {"snaplen": -1}, {"snaplen": 262_145}, {"size": "big"}, {"size": 0},
        {"ring": 1}, {"ring": 0}, {"ring": 3, "size": None}, {"ring": (3, "x")},
        {"interface": "eth0 down"}, {"interface": "-w"}, {"interface": ""}, {"interface": "a/b"},
        {"interface": ["eth0", "a-name-that-is-too-long"]},
    ],
)  # fmt: skip
def test_what_no_capture_can_be(wrong):
    with pytest.raises(UsageError) as caught:
        spec.build(**wrong)

    assert caught.value.exit_code == 2
    assert caught.value.next_step


def test_a_filter_with_a_nul_could_not_be_passed_on():
    with pytest.raises(FilterError, match="NUL"):
        spec.build(filter="tcp\0port 1")


def test_interfaces_are_asked_for_once_each():
    assert spec.build(interface="eth0").interfaces == ("eth0",)
    assert spec.build(interface=["lo", "eth0", "lo"]).interfaces == ("lo", "eth0")
    assert spec.build(interface=()).interfaces == ()
