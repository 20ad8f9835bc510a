"""One sample document as PDF, DOCX or JSON."""

import io
import itertools
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from samples.pdf import PdfWriter

COMPANY = "Plate and Pedal"

Body: TypeAlias = str | dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it: paragraphs, lists and tables."""

    heading: str
    level: int
    body: list[Body]


@dataclass(frozen=True)
class Sample:
    """A document before it has a format."""

    title: str
    sections: list[Section]

    @property
    def text(self) -> str:
        """All that it says."""
        return json.dumps([self.title, *map(vars, self.sections)], ensure_ascii=False)


def _pdf(sample: Sample) -> bytes:
    writer = PdfWriter(sample.title, COMPANY)
    writer.heading(sample.title, 0)
    for section in sample.sections:
        writer.heading(section.heading, section.level)
        for part in section.body:
            if isinstance(part, str):
                writer.paragraph(part)
            elif "items" in part:
                writer.items(part["items"])
            else:
                writer.table(part["table"])
    return writer.to_bytes()


def _docx(sample: Sample) -> bytes:
    import docx

    document = docx.Document()
    document.core_properties.title = sample.title
    document.core_properties.author = COMPANY
    document.add_heading(sample.title, 0)
    for section in sample.sections:
        document.add_heading(section.heading, section.level)
        for part in section.body:
            if isinstance(part, str):
                document.add_paragraph(part)
            elif "items" in part:
                for text in part["items"]:
                    document.add_paragraph(text, style="List Bullet")
            else:
                _docx_table(document, part["table"])
    content = io.BytesIO()
    document.save(content)
    return _without_times(content)


def _docx_table(document: Any, rows: list[list[str]]) -> None:
    table = document.add_table(len(rows), len(rows[0]), style="Table Grid")
    cells = iter(table._cells)  # Asking for one cell at a time walks through the table each time.
    for text in itertools.chain.from_iterable(rows):
        next(cells).text = text


def _without_times(archive: io.BytesIO) -> bytes:
    """The same archive, each member as of 1980, so that equal input gives equal bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name), zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _json(sample: Sample) -> bytes:
    sections = [
        {"heading": section.heading, "text": "\n\n".join(map(_plain, section.body))}
        for section in sample.sections
    ]
    document = {"title": sample.title, "language": "en", "content": sections}
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _plain(part: Body) -> str:
    if isinstance(part, str):
        return part
    if "items" in part:
        return "\n".join(f"- {text}" for text in part["items"])
    return "\n".join(": ".join(row) for row in part["table"])


WRITERS: dict[str, Callable[[Sample], bytes]] = {"pdf": _pdf, "docx": _docx, "json": _json}
