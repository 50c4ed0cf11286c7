"""Estimates and their differences, against samples whose truth is known and the textbooks' numbers."""

from __future__ import annotations

from math import exp, sqrt
from statistics import NormalDist

import numpy as np
import pytest

from k8scap.tables.differences import binomial, difference, holm
from k8scap.tables.estimates import Sample, quantile, share
from k8scap.tables.student import multiplier, two_sided

REPETITIONS = 400
WITHIN, BETWEEN, SHIFT = 0.5, 0.3, 0.2


def times(rng: np.random.Generator, *, shift: float = 0.0, connections: int = 60) -> Sample:
    """Log-normal times; the connections differ by themselves, and hold 3 to 60 samples each."""
    counts = rng.integers(3, 60, size=connections)
    cluster = np.repeat(np.arange(connections), counts)
    own = rng.normal(0, BETWEEN, connections)[cluster]
    values = np.exp(2 + shift + own + rng.normal(0, WITHIN, len(cluster)))
    return Sample(values, np.ones(len(values)), cluster)


def losses(rng: np.random.Generator, rate: float, *, connections: int = 60) -> Sample:
    """Losses among 20 to 200 segments of each connection, whose own rates differ."""
    counts = rng.integers(20, 200, size=connections)
    rates = np.clip(rate * rng.gamma(4, 1 / 4, connections), 0, 1)
    return Sample(rng.binomial(counts, rates).astype(float), counts.astype(float), np.arange(connections))


def true_quantile(q: float, *, shift: float = 0.0) -> float:
    return exp(2 + shift + NormalDist().inv_cdf(q) * sqrt(WITHIN**2 + BETWEEN**2))


@pytest.mark.parametrize(("q", "seed"), [(0.5, 1), (0.95, 2)])
def test_the_interval_of_a_quantiles_difference_holds_the_truth_in_95_of_100(q: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = true_quantile(q, shift=SHIFT) - true_quantile(q)
    found = [
        difference(quantile(times(rng), q), quantile(times(rng, shift=SHIFT), q)) for _ in range(REPETITIONS)
    ]
    covered = sum(d.low <= truth <= d.high for d in found) / REPETITIONS
    assert 0.93 <= covered <= 0.97


def test_the_interval_of_a_shares_difference_holds_the_truth_in_95_of_100() -> None:
    rng = np.random.default_rng(3)
    found = [difference(share(losses(rng, 0.02)), share(losses(rng, 0.05))) for _ in range(REPETITIONS)]
    covered = sum(d.low <= 0.03 <= d.high for d in found) / REPETITIONS
    assert 0.93 <= covered <= 0.97


def test_few_connections_make_intervals_wider_never_too_narrow() -> None:
    rng = np.random.default_rng(4)
    truth = true_quantile(0.5, shift=SHIFT) - true_quantile(0.5)
    pairs = [(times(rng, connections=8), times(rng, shift=SHIFT, connections=8)) for _ in range(200)]
    found = [difference(quantile(a, 0.5), quantile(b, 0.5)) for a, b in pairs]
    assert sum(d.low <= truth <= d.high for d in found) / len(found) >= 0.93


def test_p_and_the_interval_agree() -> None:
    rng = np.random.default_rng(5)
    for _ in range(100):
        found = difference(quantile(times(rng), 0.5), quantile(times(rng, shift=0.1), 0.5))
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)


def test_one_connection_cannot_speak_for_all() -> None:
    long = Sample(np.full(10_000, 500.0), np.ones(10_000), np.zeros(10_000, dtype=np.int64))
    rng = np.random.default_rng(6)
    usual = times(rng, connections=20)
    both = Sample(*(np.concatenate([getattr(long, n), getattr(usual, n)]) for n in ("value", "total")),
                  np.concatenate([long.cluster, usual.cluster + 1]))  # fmt: skip
    assert quantile(long, 0.5) is None
    assert quantile(both, 0.5).value < 20 < np.quantile(both.value, 0.5)


def test_without_dependence_a_share_has_newcombes_interval() -> None:
    """Newcombe 1998, Interval estimation for the difference between independent proportions, table II (a)."""
    one, other = (
        Sample(np.repeat([1.0, 0.0], [hits, of - hits]), np.ones(of), np.arange(of))
        for hits, of in ((48, 80), (56, 70))
    )
    found = difference(share(one), share(other))
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=0.004)


@pytest.mark.parametrize(
    ("df", "confidence", "t"),
    [
        (1, 0.95, 12.706),
        (2, 0.95, 4.303),
        (4, 0.999, 8.610),
        (7, 0.999, 5.408),
        (30, 0.95, 2.042),
        (999, 0.95, 1.96),
    ],
)
def test_students_t_is_the_tables(df: int, confidence: float, t: float) -> None:
    assert multiplier(confidence, df) == pytest.approx(t, abs=6e-4)
    assert two_sided(t, df) == pytest.approx(1 - confidence, rel=5e-3)


def test_holm_is_holms() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_the_binomial_test_is_exact() -> None:
    assert binomial(0, 6, 0.5) == pytest.approx(2 / 64)
    assert binomial(3, 6, 0.5) == 1.0
    assert binomial(0, 5_000, 0.5) == 0.0
