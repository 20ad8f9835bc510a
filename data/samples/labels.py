"""Labelled texts about the topics of the sample documents: a text file for each category.

What they say is in labels.json, in other words than those of the documents.
"""

import json
import os
from pathlib import Path

LABELS = Path(__file__).with_name("labels.json")


def write_labels(folder: Path) -> str:
    """A file of texts for each category and `categories.yaml` in `folder`; how many they are.

    Each file appears whole or not at all. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = json.loads(LABELS.read_text(encoding="utf-8"))
    described = [f"{name}: {entry['description']}\n" for name, entry in labels.items()]
    files = {"categories.yaml": "".join(described)}
    files |= {f"{name}.txt": "\n".join([*entry["texts"], ""]) for name, entry in labels.items()}
    for name, content in files.items():
        beside = folder / f".{name}.{os.getpid()}.tmp"
        try:
            beside.write_text(content, encoding="utf-8")
            beside.replace(folder / name)
        finally:
            beside.unlink(missing_ok=True)
    texts = sum(len(entry["texts"]) for entry in labels.values())
    return f"{texts} texts of {len(labels)} categories"
