"""Display filters, times and columns that load is given."""

import pytest
from reference import CAPTURES, VERDICTS, same_rows, verdicts

from k8scap import load
from k8scap.errors import FilterError, UsageError


def test_where_is_a_display_filter_and_keeps_numbers_and_streams():
    packets = load(VERDICTS, where="tcp.port == 40001").packets
    same_rows(packets, verdicts()[verdicts()["stream"] == 1])


@pytest.mark.parametrize("where", ["nonsense ===", "-w /tmp/x", "tcp.prot == 1", ")", "a\0b"])
def test_what_is_no_filter_is_refused_before_anything_is_read(where):
    with pytest.raises(FilterError) as refused:
        load(VERDICTS, where=where)
    assert (refused.value.filter, refused.value.exit_code) == (where, 2)


def test_a_filter_that_starts_with_a_dash_is_data(tmp_path):
    with pytest.raises(FilterError):
        load(VERDICTS, where=f"-w{tmp_path}/stolen")
    assert not list(tmp_path.iterdir())


def test_between_takes_both_ends_to_the_nanosecond():
    times = list(load(CAPTURES / "nanoseconds.pcap").packets["time"])
    kept = load(CAPTURES / "nanoseconds.pcap", between=(times[1], times[2])).packets
    assert list(kept["time"]) == times[1:3]


def test_between_takes_text_and_joins_where():
    kept = load(
        VERDICTS, where="tcp.len > 0", between=("2023-11-14T22:13:20.2Z", "2023-11-14T23:13:20.6+01:00")
    ).packets
    assert list(kept.index) == [14, 15]


@pytest.mark.parametrize(
    "between", [("2023-11-14T22:13:20", "2024-01-01T00:00Z"), ("yesterday", "2024-01-01T00:00Z")]
)
def test_a_time_without_a_zone_is_refused(between):
    with pytest.raises(UsageError):
        load(VERDICTS, between=between)


def test_a_column_that_is_not_in_the_schema_is_refused():
    with pytest.raises(UsageError, match="colour"):
        load(VERDICTS, columns=["src", "colour"])
