"""Result of a pre-training run: its folder and manifest, with the log as a table and the loss as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genoformer import plots
from genoformer.training.log import LOG, read_log

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_SIZE = (plots.COLUMN * 1.3, 2.6)  # of a figure in inches


class Pretrained(NamedTuple):
    """Folder of a pre-trained model, and the manifest of its run.

    >>> Pretrained(Path("run"), {"metrics": {"train_loss": 1.3}, "notes": ["the loss did not fall."], "warnings": []})
    Pretrained(run: train_loss 1.3, FAILED: the loss did not fall.)
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def metrics(self) -> dict[str, float]:
        """Last training loss in nats per token, and bits per base on held-out contigs."""
        return dict(self.manifest["metrics"])

    @property
    def notes(self) -> list[str]:
        """Reasons for a failed run, and other remarks."""
        return [*self.manifest["notes"], *self.manifest["warnings"]]

    @property
    def failed(self) -> bool:
        """True if the run learned nothing, or got worse."""
        return bool(self.manifest["notes"])

    def to_frame(self) -> pd.DataFrame:
        """Return the log of the run: a row for each step with results."""
        import pandas as pd

        return pd.DataFrame(read_log(self.folder / LOG))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the training loss by step, in the axes of the caller or of a new figure."""
        panel = plots.shown_axes(ax, *_SIZE)
        self._draw([panel])
        return panel

    def _draw(self, panels: list[Axes]) -> None:
        log = self.to_frame().dropna(subset="train_loss")
        panels[0].plot(log["step"], log["train_loss"], color=plots.BLUE)
        panels[0].set(xlabel="step", ylabel="training loss (nats per token)")
        plots.plain(panels[0])

    def __repr__(self) -> str:
        metrics = ", ".join(f"{name} {value:.4g}" for name, value in self.metrics.items())
        return f"Pretrained({self.folder}: {metrics}{', FAILED: ' + ' '.join(self.manifest['notes']) if self.failed else ''})"

    def _repr_html_(self) -> str:
        return plots.as_html(repr(self), self._draw, _SIZE)
