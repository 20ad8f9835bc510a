"""Small PDF files, written by hand."""

FONTS = {"regular": "Helvetica", "bold": "Helvetica-Bold", "mono": "Courier"}
WIDTH, HEIGHT = 600, 800


def text(x, top, words, size=10, font="regular", matrix="1 0 0 1"):
    """Words whose baseline lies `top` points below the upper edge of the page."""
    escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /{font} {size} Tf {matrix} {x} {HEIGHT - top} Tm ({escaped}) Tj ET"


def lines(x, top, rows, size=10, font="regular", pitch=None):
    """Rows of words, one below the other."""
    step = pitch or 1.2 * size
    return "\n".join(text(x, top + n * step, row, size, font) for n, row in enumerate(rows))


def rule(x0, top0, x1, top1):
    """A thin line."""
    return f"0.5 w {x0} {HEIGHT - top0} m {x1} {HEIGHT - top1} l S"


def picture(x, top, width, height):
    """A grey picture of one pixel, drawn as large as told."""
    return (
        f"q {width} 0 0 {height} {x} {HEIGHT - top - height} cm\n"
        "BI /W 1 /H 1 /CS /G /BPC 8 ID \x80 EI Q"
    )


def pdf(*pages, rotate=0, title=None):
    """The bytes of a file with these pages, each a string of drawing operators."""
    fonts = " ".join(
        f"/{name} << /Type /Font /Subtype /Type1 /BaseFont /{face} /Encoding /WinAnsiEncoding >>"
        for name, face in FONTS.items()
    )
    count = len(pages)
    kids = " ".join(f"{3 + 2 * n} 0 R" for n in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
    ]
    for number, content in enumerate(pages):
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Rotate {rotate} "
            f"/Resources << /Font << {fonts} >> >> /Contents {4 + 2 * number} 0 R >>",
            f"<< /Length {len(content.encode('latin-1'))} >>\nstream\n{content}\nendstream",
        ]
    objects.append(f"<< /Title ({title}) >>" if title else "<< >>")
    return _assembled(objects)


def _assembled(objects):
    body, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return body + (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
        f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>\n"
        f"startxref\n{len(body)}\n%%EOF\n"
    ).encode("latin-1")
