"""PDFium's functions for whole runs of characters or objects: one C loop, no Python per call."""

import ctypes
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Handle: TypeAlias = int
_Call: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class Functions:
    """PDFium's own functions, taking addresses as integers, which costs a third of pointers."""

    load_page: _Call
    close_page: _Call
    page_box: _Call
    page_rotation: _Call
    load_text: _Call
    close_text: _Call
    count_characters: _Call
    text: _Call
    loose_box: _Call
    tight_box: _Call
    unicode: _Call
    font_size: _Call
    angle: _Call
    matrix: _Call
    text_object: _Call
    render_mode: _Call
    font: _Call
    font_name: _Call
    font_flags: _Call
    object_count: _Call
    object_at: _Call
    object_type: _Call
    object_bounds: _Call
    segment_count: _Call
    segment_at: _Call
    segment_point: _Call
    segment_type: _Call
    segment_closes: _Call
    form_count: _Call
    form_object: _Call


@cache
def functions() -> Functions:
    """The functions of the loaded library."""
    import pypdfium2.raw as raw

    pointer, whole, real = ctypes.c_void_p, ctypes.c_int, ctypes.c_double

    def typed(function: Any, result: Any, *arguments: Any) -> _Call:
        address = ctypes.cast(function, pointer).value
        assert address
        return ctypes.CFUNCTYPE(result, *arguments)(address)

    return Functions(
        load_page=typed(raw.FPDF_LoadPage, pointer, pointer, whole),
        close_page=typed(raw.FPDF_ClosePage, None, pointer),
        page_box=typed(raw.FPDF_GetPageBoundingBox, whole, pointer, pointer),
        page_rotation=typed(raw.FPDFPage_GetRotation, whole, pointer),
        load_text=typed(raw.FPDFText_LoadPage, pointer, pointer),
        close_text=typed(raw.FPDFText_ClosePage, None, pointer),
        count_characters=typed(raw.FPDFText_CountChars, whole, pointer),
        text=typed(raw.FPDFText_GetText, whole, pointer, whole, whole, pointer),
        loose_box=typed(raw.FPDFText_GetLooseCharBox, whole, pointer, whole, pointer),
        tight_box=typed(raw.FPDFText_GetCharBox, whole, pointer, whole, *[pointer] * 4),
        unicode=typed(raw.FPDFText_GetUnicode, ctypes.c_uint, pointer, whole),
        font_size=typed(raw.FPDFText_GetFontSize, real, pointer, whole),
        angle=typed(raw.FPDFText_GetCharAngle, ctypes.c_float, pointer, whole),
        matrix=typed(raw.FPDFText_GetMatrix, whole, pointer, whole, pointer),
        text_object=typed(raw.FPDFText_GetTextObject, pointer, pointer, whole),
        render_mode=typed(raw.FPDFTextObj_GetTextRenderMode, whole, pointer),
        font=typed(raw.FPDFTextObj_GetFont, pointer, pointer),
        font_name=typed(
            raw.FPDFFont_GetBaseFontName, ctypes.c_size_t, pointer, pointer, ctypes.c_size_t
        ),
        font_flags=typed(raw.FPDFFont_GetFlags, whole, pointer),
        object_count=typed(raw.FPDFPage_CountObjects, whole, pointer),
        object_at=typed(raw.FPDFPage_GetObject, pointer, pointer, whole),
        object_type=typed(raw.FPDFPageObj_GetType, whole, pointer),
        object_bounds=typed(raw.FPDFPageObj_GetBounds, whole, pointer, *[pointer] * 4),
        segment_count=typed(raw.FPDFPath_CountSegments, whole, pointer),
        segment_at=typed(raw.FPDFPath_GetPathSegment, pointer, pointer, whole),
        segment_point=typed(raw.FPDFPathSegment_GetPoint, whole, pointer, pointer, pointer),
        segment_type=typed(raw.FPDFPathSegment_GetType, whole, pointer),
        segment_closes=typed(raw.FPDFPathSegment_GetClose, whole, pointer),
        form_count=typed(raw.FPDFFormObj_CountObjects, whole, pointer),
        form_object=typed(raw.FPDFFormObj_GetObject, pointer, pointer, ctypes.c_ulong),
    )


def address(handle: Any) -> Handle:
    """The integer behind a typed pointer of pypdfium2's raw interface."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def page_box(page: Handle) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of what is shown of a page, in its own coordinates."""
    sides = (ctypes.c_float * 4)()
    functions().page_box(page, ctypes.addressof(sides))
    left, top, right, bottom = sides
    return left, bottom, right, top


def page_text(text_page: Handle) -> str:
    """The text of a page as PDFium writes it, UTF-16 units that are no character replaced."""
    call = functions()
    count = max(0, call.count_characters(text_page))
    # ctypes would make a new type for each new size.
    buffer = np.empty(count + 1, np.uint16)
    units = call.text(text_page, 0, count, buffer.ctypes.data)
    return buffer[: max(0, units - 1)].tobytes().decode("utf-16-le", "replace")


def loose_boxes(text_page: Handle, indices: Sequence[int]) -> Floats:
    """float32 [n, 4]: left, top, right, bottom of each character in its font's full height, in the
    page's own coordinates, which count upwards. Zeros where PDFium knows none."""
    boxes = np.zeros((len(indices), 4), np.float32)
    first = boxes.ctypes.data
    places = range(first, first + 16 * len(indices), 16)
    deque(map(functions().loose_box, repeat(text_page), indices, places), maxlen=0)
    return boxes


def tight_boxes(text_page: Handle, indices: Sequence[int]) -> Floats:
    """As `loose_boxes`, but around the ink."""
    boxes = np.zeros((len(indices), 4), np.float64)
    first, end = boxes.ctypes.data, boxes.ctypes.data + 32 * len(indices)
    # PDFium's order is left, right, bottom, top.
    places = [range(first + offset, end, 32) for offset in (0, 16, 24, 8)]
    deque(map(functions().tight_box, repeat(text_page), indices, *places), maxlen=0)
    return boxes.astype(np.float32)


def matrices(text_page: Handle, indices: Sequence[int]) -> Floats:
    """float32 [n, 6]: the matrix a, b, c, d, e, f that each character is drawn with."""
    result = np.zeros((len(indices), 6), np.float32)
    first = result.ctypes.data
    places = range(first, first + 24 * len(indices), 24)
    deque(map(functions().matrix, repeat(text_page), indices, places), maxlen=0)
    return result


def object_bounds(handles: Sequence[Handle]) -> Floats:
    """float32 [n, 4]: left, top, right, bottom of each page object, in coordinates upwards."""
    boxes = np.zeros((len(handles), 4), np.float32)
    first, end = boxes.ctypes.data, boxes.ctypes.data + 16 * len(handles)
    # PDFium's order is left, bottom, right, top.
    places = [range(first + offset, end, 16) for offset in (0, 12, 8, 4)]
    deque(map(functions().object_bounds, handles, *places), maxlen=0)
    return boxes


def path_segments(path: Handle) -> tuple[Floats, Integers, Flags]:
    """float32 [n, 2], the points of a path in its own coordinates; int64 [n], the kinds of the
    segments that end there; bool [n], whether each closes its figure."""
    call = functions()
    count = max(0, call.segment_count(path))
    segments = list(map(call.segment_at, repeat(path), range(count)))
    points = np.zeros((count, 2), np.float32)
    first, end = points.ctypes.data, points.ctypes.data + 8 * count
    deque(
        map(call.segment_point, segments, range(first, end, 8), range(first + 4, end, 8)), maxlen=0
    )
    kinds = np.fromiter(map(call.segment_type, segments), np.int64, count)
    return points, kinds, np.fromiter(map(call.segment_closes, segments), np.bool_, count)


def page_objects(page: Handle) -> list[Handle]:
    """The objects on a page, in the order in which they are drawn."""
    count = functions().object_count(page)
    return list(map(functions().object_at, repeat(page), range(count)))


def form_objects(form: Handle) -> list[Handle]:
    """The objects of a form, in its own coordinates."""
    count = functions().form_count(form)
    return list(map(functions().form_object, repeat(form), range(count)))
