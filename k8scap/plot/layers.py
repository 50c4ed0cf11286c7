"""A layered layout of a small directed graph: callers left of whom they call, few crossings."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SWEEPS = 6


Place = tuple[int, float]
"""Layer (0 is left) and height (0 is the middle; rows are 1 apart)."""


def layered(edges: Sequence[tuple[str, str]]) -> tuple[dict[str, Place], list[list[Place]]]:
    """Where each node stands, and for each edge the places on its way over layers between.

    A node's layer is its longest way from a node that nobody calls (Sugiyama's method, each edge that
    closes a cycle left aside). In a layer nodes, and the places of edges that pass, stand by the mean
    height of their neighbours, so that few edges cross and none goes over a node.
    """
    nodes = list(dict.fromkeys(end for edge in edges for end in edge))
    layer: dict[Any, int] = dict(_layers(nodes, _acyclic(nodes, edges)))
    chains = [_chain(number, *edge, layer) for number, edge in enumerate(edges)]
    columns: list[list[Any]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node in layer:
        columns[layer[node]].append(node)
    height = _settled(columns, chains)
    places = {node: (layer[node], height[node]) for node in layer}
    return {node: places[node] for node in nodes}, [[places[via] for via in chain[1:-1]] for chain in chains]


def _chain(number: int, source: str, target: str, layer: dict[Any, int]) -> list[Any]:
    """An edge's ends, and something that holds a place for it in each layer between."""
    between = range(layer[source] + 1, layer[target])
    vias = [(number, at) for at in between]
    layer.update(zip(vias, between, strict=True))
    return [source, *vias, target]


def _settled(columns: list[list[Any]], chains: Sequence[Sequence[Any]]) -> dict[Any, float]:
    """The height of all in the columns, after some sweeps to and fro."""
    neighbours: dict[Any, list[Any]] = {node: [] for column in columns for node in column}
    for chain in chains:
        for source, target in pairwise(chain):
            neighbours[source].append(target)
            neighbours[target].append(source)
    height = {node: place for column in columns for node, place in _spread(column).items()}
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else columns[::-1]:
            column.sort(key=lambda node: _mean(height, neighbours[node], height[node]))
            height.update(_spread(column))
    return height


def _spread(column: Sequence[Any]) -> dict[Any, float]:
    return {node: place - (len(column) - 1) / 2 for place, node in enumerate(column)}


def _mean(height: Mapping[Any, float], neighbours: Sequence[Any], own: float) -> float:
    return sum(height[node] for node in neighbours) / len(neighbours) if neighbours else own


def _acyclic(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges without those that lead back to where a walk came from."""
    targets: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        if source != target:
            targets[source].append(target)
    called = {target for source, target in edges if source != target}
    kept: list[tuple[str, str]] = []
    state: dict[str, bool] = {}  # True while the walk is beyond the node
    for root in sorted(nodes, key=lambda node: node in called):
        _walk(root, targets, state, kept)
    return kept


def _walk(
    root: str, targets: Mapping[str, Sequence[str]], state: dict[str, bool], kept: list[tuple[str, str]]
) -> None:
    """Depth first, without recursion: a chain may be long."""
    if root in state:
        return
    state[root] = True
    way = [(root, iter(targets[root]))]
    while way:
        node, rest = way[-1]
        target = next(rest, None)
        if target is None:
            state[node] = False
            way.pop()
        elif not state.get(target):
            kept.append((node, target))
            if target not in state:
                state[target] = True
                way.append((target, iter(targets[target])))


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    layer = dict.fromkeys(nodes, 0)
    for _ in nodes:
        moved = False
        for source, target in edges:
            if layer[target] <= layer[source]:
                layer[target] = layer[source] + 1
                moved = True
        if not moved:
            break
    return layer
