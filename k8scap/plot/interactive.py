"""A view that answers the mouse: zoom, pan, and a box whose packets are a DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.plot.canvas import COLORS, SIZE, table_of
from k8scap.plot.selectable import inside
from k8scap.plot.thinning import thin

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from matplotlib.axes import Axes

_BOX = {"facecolor": COLORS[0], "edgecolor": COLORS[0], "alpha": 0.15, "fill": True}
_TOOLS = 0.05
"""What of the width is the tool bar's."""
_STEP = 0.8
"""What a notch of the wheel makes of the span that is seen."""


def interactive(view: Callable[..., Axes], data: Any, **options: Any) -> Interactive:
    """Draw a view so that it answers the mouse in a notebook.

        picture = k8scap.plot.interactive(k8scap.plot.latency, cap)
        picture                    # the wheel zooms time (with Shift the other axis), a drag draws a box
        picture.selected           # the packets in the box

    `view` is any of `k8scap.plot`, `data` a capture, or its packets where the view takes these, `options`
    are the view's. However many marks there are, what is drawn is what can be told apart.
    Raises what the view raises.
    """
    return Interactive(view, data, **options)


class Interactive:
    """A plot in a notebook, drawn by matplotlib here and shown through ipympl.

    Attributes
    ----------
    ax: the view's Axes. box: (x from, x to, y from, y to) in the Axes' units, None without a box.
    """

    def __init__(self, view: Callable[..., Axes], data: Any, **options: Any) -> None:
        from matplotlib.backend_bases import MouseButton
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
        from matplotlib.widgets import RectangleSelector

        self._packets = table_of(data, "packets")
        ipympl = _ipympl()
        figure = Figure(figsize=SIZE, layout=ConstrainedLayoutEngine(rect=(_TOOLS, 0, 1 - _TOOLS, 1)))
        self._canvas = ipympl.Canvas(figure)
        self._manager = ipympl.FigureManager(self._canvas, 0)
        self.ax = view(data, ax=figure.subplots(), **options)
        thin(self.ax)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # where all stands is settled: zooming need not ask again
        self.box: tuple[float, float, float, float] | None = None
        self._told: list[Callable[[pd.DataFrame], None]] = []
        self._whole = self.ax.get_xlim(), self.ax.get_ylim()
        self._selector = RectangleSelector(
            self.ax, self._chosen, button=[MouseButton.LEFT], interactive=True, useblit=False, props=_BOX
        )
        self._prepare()

    def _prepare(self) -> None:
        self._canvas.header_visible = self._canvas.footer_visible = False
        self._canvas.capture_scroll = True
        self._canvas.toolbar_visible = True
        self._canvas.mpl_connect("scroll_event", self._scrolled)
        self._canvas.mpl_connect("button_press_event", self._pressed)

    @property
    def selected(self) -> pd.DataFrame:
        """The packets whose marks the box holds: rows of the packets table; none without a box.

        Of a view whose marks stand for no single packets, those of the box's time.
        """
        if self.box is None:
            return self._packets.iloc[:0]
        left, right, bottom, top = self.box
        return inside(self.ax, self._packets, (left, right), (bottom, top))

    def on_select(self, action: Callable[[pd.DataFrame], None]) -> None:
        """Call `action` with the packets of each box that is drawn from now on."""
        self._told.append(action)

    def _chosen(self, press: Any, release: Any) -> None:
        left, right = sorted((press.xdata, release.xdata))
        bottom, top = sorted((press.ydata, release.ydata))
        self.box = (left, right, bottom, top)
        for action in self._told:
            action(self.selected)

    def _scrolled(self, event: Any) -> None:
        """Zoom about the mouse: what it points at stays where it is."""
        if event.inaxes is not self.ax:
            return
        factor = _STEP**event.step
        if event.key == "shift":
            self.ax.set_ylim(_zoomed(self.ax.get_ylim(), event.ydata, factor, self.ax.get_yscale()))
        else:
            self.ax.set_xlim(_zoomed(self.ax.get_xlim(), event.xdata, factor, self.ax.get_xscale()))
        self._canvas.draw_idle()

    def _pressed(self, event: Any) -> None:
        """A double click shows all again."""
        if event.dblclick and event.inaxes is self.ax:
            self.ax.set_xlim(self._whole[0])
            self.ax.set_ylim(self._whole[1])
            self._canvas.draw_idle()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The plot; where no kernel runs it stays a picture."""
        return self._canvas._repr_mimebundle_(**kwargs)

    def __repr__(self) -> str:
        packets = f"{len(self.selected):,} packets in the box" if self.box else "no box drawn"
        return f"<Interactive plot: {packets}>"


def _ipympl() -> Any:
    """The package has every plot drawn by it as soon as it is imported; that is not ours to decide."""
    from importlib import import_module
    from unittest.mock import patch

    with patch("matplotlib.use"):
        return import_module("ipympl.backend_nbagg")


def _zoomed(limits: tuple[float, float], about: float, factor: float, scale: str) -> tuple[float, float]:
    if scale == "log" and about > 0 and min(limits) > 0:
        low, high = ((limit / about) ** factor * about for limit in limits)
    else:
        low, high = ((limit - about) * factor + about for limit in limits)
    return low, high
