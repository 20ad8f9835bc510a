"""Pictures in the metadata, where a person would rather look than read numbers."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedding_assets.errors import NotFoundError
from embedding_assets.quality.layout import neighbourhood_plane
from embedding_assets.search.similar import rows_and_matrix
from embedding_assets.storage.parquet import ParquetTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 4_000
_NAMED_CUISINES = 11
_INK = "#334155"


def length_histogram(
    table: ParquetTable, keys: list[str] | None, window: int
) -> dg.MarkdownMetadataValue:
    """How long the texts are in tokens, against the model's window."""
    try:
        tokens = table.dataset(keys).to_table(columns=["tokens"])["tokens"].to_numpy()
    except NotFoundError:
        tokens = np.empty(0, dtype=np.int32)
    if not len(tokens):
        return dg.MetadataValue.md("No texts.")
    figure = _figure(6.4, 3.0)
    axes = figure.subplots()
    axes.hist(tokens, bins=min(60, max(10, len(tokens) // 5)), color="#2563eb")
    axes.axvline(window, color="#dc2626", linewidth=1.5)
    share = float((tokens > window).mean())
    axes.set_title(
        f"{len(tokens):,} texts; {share:.1%} longer than the window of {window} tokens "
        "(read in windows, nothing cut)",
        fontsize=9, color=_INK, loc="left",
    )  # fmt: skip
    axes.set_xlabel("tokens per text", fontsize=9, color=_INK)
    axes.set_ylabel("texts", fontsize=9, color=_INK)
    return _markdown(figure, "Text lengths")


def cuisine_map(table: ParquetTable) -> dg.MarkdownMetadataValue:
    """The vectors in two dimensions (t-SNE; van der Maaten and Hinton 2008), coloured by cuisine;
    a fixed sample when there are many."""
    with rows_and_matrix(table, ["main_cuisine"]) as (stored, vectors):
        if stored.num_rows < 5:
            return dg.MetadataValue.md("Too few embeddings for a map.")
        rows = np.sort(np.random.default_rng(0).permutation(stored.num_rows)[:_MOST_POINTS])
        points = neighbourhood_plane(np.asarray(vectors[rows]))
    shown = stored["main_cuisine"].take(pa.array(rows)).to_pylist()
    cuisines = np.array([each or "none" for each in shown])
    figure = _figure(7.6, 5.2)
    axes = figure.subplots()
    _scatter(axes, points, cuisines)
    axes.set_title(
        f"{len(rows):,} of {stored.num_rows:,} accounts by their latest embedding",
        fontsize=10,
        color=_INK,
        loc="left",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(
        title="main cuisine", fontsize=8, title_fontsize=8, frameon=False,
        loc="center left", bbox_to_anchor=(1.0, 0.5),
    )  # fmt: skip
    return _markdown(figure, "Map of the embeddings")


def type_scores(table: pa.Table) -> dg.MarkdownMetadataValue:
    """The strict F1 of each type of entity on held-out sentences, with how many there were."""
    rows = [row for row in table.to_pylist() if row["f1"] is not None]
    if not rows:
        return dg.MetadataValue.md("Nothing was held out to judge by.")
    figure = _figure(6.4, 1.2 + 0.28 * len(rows))
    axes = figure.subplots()
    names = [f"{row['label']}  ({row['support']:,})" for row in reversed(rows)]
    values = [row["f1"] for row in reversed(rows)]
    axes.barh(names, values, color="#2563eb")
    for place, value in enumerate(values):
        axes.text(value + 0.01, place, f"{value:.2f}", va="center", fontsize=8, color=_INK)
    axes.set_xlim(0, 1.08)
    axes.tick_params(labelsize=8)
    axes.set_title("F1 by type (entities held out)", fontsize=9, color=_INK, loc="left")
    return _markdown(figure, "F1 by type")


def _scatter(axes: "Axes", points: npt.NDArray[np.float64], cuisines: npt.NDArray[np.str_]) -> None:
    from matplotlib import colormaps

    colours = colormaps["Paired"]
    named = [name for name, _ in Counter(cuisines.tolist()).most_common(_NAMED_CUISINES)]
    others = ~np.isin(cuisines, named)
    axes.scatter(
        points[others, 0],
        points[others, 1],
        s=6,
        color="#cbd5e1",
        label="others" if others.any() else None,
    )
    for number, name in enumerate(named):
        chosen = points[cuisines == name]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=8, color=colours(number), label=name, linewidths=0
        )


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _markdown(figure: "Figure", title: str) -> dg.MarkdownMetadataValue:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return markdown_picture(picture.getvalue(), title)


def markdown_table(lines: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """Lines as a table, the first one its head."""
    head, *rows = [" | ".join(map(str, line)) for line in lines]
    rule = " | ".join("---" for _ in lines[0])
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in (head, rule, *rows)))


def markdown_picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A PNG as metadata that Dagster shows as a picture."""
    data = base64.b64encode(png).decode()
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{data})")
