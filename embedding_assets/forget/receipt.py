"""What was removed from where: printed, and kept without the name of what was forgotten."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from embedding_assets.storage.files import published

_MLFLOW = "holds numbers, settings and models: nothing of documents or accounts"


@dataclass(frozen=True)
class Step:
    """What was removed from one place, and how many of them."""

    place: str
    what: str
    count: int


@dataclass(frozen=True)
class Receipt:
    """What became of a forgotten document or account.

    kind: `document` or `account`. at: UTC. steps: in the order in which they were taken; a place
    that held nothing has the count 0.
    """

    kind: str
    id: str
    at: datetime
    steps: tuple[Step, ...]


MLFLOW_STEP = Step("MLflow", _MLFLOW, 0)


def receipt_text(receipt: Receipt) -> str:
    """The receipt for people."""
    places = max(len(step.place) for step in receipt.steps)
    counts = max(len(f"{step.count:,}") for step in receipt.steps)
    lines = [
        f"  {step.place:{places}}  {step.count:{counts},}  {step.what}" for step in receipt.steps
    ]
    title = f"The {receipt.kind} {receipt.id} is forgotten ({receipt.at:%Y-%m-%d %H:%M:%S} UTC)."
    return "\n".join([title, *lines])


def keep_receipt(receipt: Receipt, data_dir: Path) -> Path:
    """A JSON file in `forgotten/receipts` with the SHA-256 of the id in its place."""
    hashed = sha256(receipt.id.encode("utf-8", "surrogatepass")).hexdigest()
    entry = {
        "kind": receipt.kind,
        "id_sha256": hashed,
        "at": receipt.at.isoformat(timespec="seconds"),
        "steps": [asdict(step) for step in receipt.steps],
    }
    name = f"{receipt.at:%Y%m%dT%H%M%S%fZ}-{hashed[:16]}.json"
    path = data_dir / "forgotten" / "receipts" / name
    with published(path) as staged:
        staged.write_text(json.dumps(entry, indent=2) + "\n")
    return path
