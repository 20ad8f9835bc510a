"""Documents to put into a watched folder, good and bad; and what became of them."""

import json
from dataclasses import dataclass
from pathlib import Path

from embedding_assets.documents import reader
from embedding_assets_tests.integration.workplace import EMBEDDING_ASSETS

PAGES = "id,pg_num\np1,1\np2,2\n"


def put(folder, name, *paragraphs):
    """A JSON document."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"title": "About", "body": [*paragraphs]}))
    return path


def put_pair(folder, doc_id, texts, pages=PAGES):
    """A pair; texts: (text, page ids), or the bytes of the whole file."""
    if not isinstance(texts, bytes):
        texts = json.dumps([{"text": text, "pages": ids} for text, ids in texts]).encode()
    (folder / f"pages_{doc_id}.csv").write_text(pages)
    (folder / f"texts_{doc_id}.json").write_bytes(texts)


def documents(place, *arguments, **options):
    """`embedding-assets documents …`"""
    return place.run(EMBEDDING_ASSETS, "documents", *arguments, **options)


def synced(place, *arguments, **options):
    """What `documents sync` says that it did."""
    done = documents(place, "sync", "--json", *arguments, **options)
    assert done.code == 0, done
    return json.loads(done.out)


def searched(place, query, *arguments, **options):
    return place.run(EMBEDDING_ASSETS, "search", query, "--json", *arguments, **options)


def found(place, query, *arguments, **options):
    """The documents of the hits of a keyword search, best first."""
    done = searched(place, query, "--mode", "keyword", *arguments, **options)
    assert done.code == 0, done
    return [hit["doc_id"] for hit in json.loads(done.out)]


def quarantined(place):
    """The rows of `quarantined_documents` by document."""
    files = (place.data_dir / "assets" / "quarantined_documents").glob("*.parquet")
    if not any(files):
        return {}
    return {row["doc_id"]: row for row in place.table("quarantined_documents").to_pylist()}


def states(place, **options):
    """The state of each document by `documents list`."""
    done = documents(place, "list", "--json", **options)
    assert done.code == 0, done
    return {each["doc_id"]: each["state"] for each in json.loads(done.out)}


@dataclass(frozen=True)
class Plugged:
    """Makes `.odd` a known format in a command: its files say what happens when they are read."""

    folder: Path
    reader: str = "read"

    def __call__(self):
        import sys

        package = self.folder / "odd_format-1.0.dist-info"
        package.mkdir(parents=True, exist_ok=True)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-format\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text(
            f"[{reader.FORMATS_GROUP}]\n"
            f"odd = embedding_assets_tests.documents.odd_format:{self.reader}\n"
        )
        sys.path.insert(0, str(self.folder))
        reader._readers.cache_clear()
