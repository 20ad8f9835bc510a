"""What a page shows besides text: ruling lines, and how much of it pictures cover."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedding_assets.documents.parse.pdf.frame import Frame
from embedding_assets.documents.parse.pdf.library import (
    Floats,
    Handle,
    form_objects,
    functions,
    object_bounds,
    page_objects,
    path_segments,
)

_PATH, _IMAGE, _FORM = 2, 3, 5
_THIN, _LEAST, _LEAST_SHAPE = 3.0, 7.0, 5.0
_LINE, _MOVE = 0, 2
_MAX_OBJECTS, _MAX_SEGMENTS, _MAX_DEPTH = 50_000, 400, 4
_NONE, _IDENTITY = np.zeros((0, 4), np.float32), np.eye(3, dtype=np.float32)
_MUCH = 0.25


@dataclass(frozen=True)
class Drawings:
    """across, down: float32 [n, 4], horizontal and vertical rulings as thin boxes as shown.

    has_image: whether pictures cover at least a quarter of the page.
    """

    across: Floats
    down: Floats
    has_image: bool


def read_drawings(page: Handle, frame: Frame) -> Drawings:
    """The rulings and pictures of a page."""
    paths, images = _collected(page)
    has_image = bool(len(images)) and _covered(frame.shown(images), frame)
    if not len(paths):
        return Drawings(paths, paths, has_image)
    boxes = frame.shown(paths)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    across = (height <= _THIN) & (width > _LEAST)
    down = (width <= _THIN) & (height > _LEAST)
    return Drawings(boxes[across], boxes[down], has_image)


def _covered(pictures: Floats, frame: Frame) -> bool:
    """Whether pictures (a scan may come in strips) cover much of the page."""
    limits = np.array((frame.width, frame.height, frame.width, frame.height), np.float32)
    left, top, right, bottom = np.clip(pictures, 0, limits).T
    area = float(((right - left) * (bottom - top)).sum())
    return area >= _MUCH * frame.width * frame.height


def _collected(page: Handle) -> tuple[Floats, Floats]:
    """Edges of the paths, and boxes of the images, in the page's coordinates, forms included."""
    paths, images = list[Floats](), list[Floats]()
    count = 0
    waiting = [(page_objects(page), _IDENTITY, 0)]
    while waiting and count < _MAX_OBJECTS:
        handles, matrix, depth = waiting.pop()
        count += len(handles)
        kinds = list(map(functions().object_type, handles))
        if _PATH in kinds:
            some = [one for one, kind in zip(handles, kinds, strict=True) if kind == _PATH]
            paths.append(_moved(_edges(some), matrix))
        if _IMAGE in kinds:
            some = [one for one, kind in zip(handles, kinds, strict=True) if kind == _IMAGE]
            images.append(_moved(object_bounds(some), matrix))
        if _FORM in kinds and depth < _MAX_DEPTH:
            forms = [one for one, kind in zip(handles, kinds, strict=True) if kind == _FORM]
            waiting += [(form_objects(one), _matrix(one) @ matrix, depth + 1) for one in forms]
    return _together(paths), _together(images)


def _together(boxes: list[Floats]) -> Floats:
    return np.concatenate(boxes) if boxes else _NONE


def _edges(paths: Sequence[Handle]) -> Floats:
    """float32 [n, 4]: each path's box if it is thin or a plain shape's four sides, else the
    segments of the path that run along an axis."""
    boxes = object_bounds(paths)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 1] - boxes[:, 3]
    # Without a ruling in both directions there is no table, as on most pages.
    if max(width.tolist()) <= _LEAST or max(height.tolist()) <= _LEAST:
        return _NONE
    thin = np.minimum(width, height) <= _THIN
    edges = [boxes[thin]]
    # Smaller shapes are letters and signs.
    large = ~thin & (np.minimum(width, height) > _LEAST_SHAPE)
    for number in np.flatnonzero(large).tolist():
        count = functions().segment_count(paths[number])
        if count <= 5:
            edges.append(_sides(boxes[number]))
        elif count <= _MAX_SEGMENTS:
            edges.append(_segments(paths[number]))
    return np.concatenate(edges)


def _sides(box: Floats) -> Floats:
    left, top, right, bottom = box
    return np.array(
        [
            (left, top, right, top),
            (left, bottom, right, bottom),
            (left, top, left, bottom),
            (right, top, right, bottom),
        ],
        np.float32,
    )


def _segments(path: Handle) -> Floats:
    """float32 [n, 4]: the straight segments of a path that run along an axis."""
    points, kinds, closes = path_segments(path)
    figure = np.maximum.accumulate(np.where(kinds == _MOVE, np.arange(len(kinds)), 0))
    lines = np.flatnonzero(kinds == _LINE)
    lines = lines[lines > 0]
    ends = np.flatnonzero(closes)
    one = np.concatenate((points[lines - 1], points[ends]))
    two = np.concatenate((points[lines], points[figure[ends]]))
    low, high = np.minimum(one, two), np.maximum(one, two)
    boxes = np.stack((low[:, 0], high[:, 1], high[:, 0], low[:, 1]), axis=1)
    sides = _moved(boxes, _matrix(path))
    straight = np.minimum(sides[:, 2] - sides[:, 0], sides[:, 1] - sides[:, 3]) <= _THIN
    return np.asarray(sides[straight])


def _matrix(handle: Handle) -> Floats:
    import pypdfium2.raw as raw

    matrix = raw.FS_MATRIX()
    raw.FPDFPageObj_GetMatrix(ctypes.cast(handle, raw.FPDF_PAGEOBJECT), matrix)
    return _array(matrix)


def _array(matrix: Any) -> Floats:
    a, b, c, d, e, f = (getattr(matrix, name) for name in "abcdef")
    return np.array([[a, b, 0], [c, d, 0], [e, f, 1]], np.float32)


def _moved(boxes: Floats, matrix: Floats) -> Floats:
    """Boxes through a matrix: left, top, right, bottom stay in this order for right angles."""
    if matrix is _IDENTITY:
        return boxes
    turn, shift = matrix[:2, :2], matrix[2, :2]
    one, two = boxes[:, :2] @ turn + shift, boxes[:, 2:] @ turn + shift
    low, high = np.minimum(one, two), np.maximum(one, two)
    return np.stack((low[:, 0], high[:, 1], high[:, 0], low[:, 1]), axis=1)
