"""The command that makes a model of the domain's own texts."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from embedding_assets.cli.output import AsJson, show, workspace

if TYPE_CHECKING:
    from embedding_assets.domain_model import DomainModel


def model_train(as_json: AsJson = False) -> None:
    """Make a model of the stored documents and account histories, and print its folder; the texts
    of the last time give the model that is there."""
    trainer = workspace().trainer
    model = trainer.provide()
    version = trainer.register(model)
    show({"version": str(version), **_entry(model)}, _text, as_json)


def _entry(model: "DomainModel") -> dict[str, Any]:
    return {"folder": str(model.folder), "new": model.new, **asdict(model.made)}


def _text(entry: dict[str, Any]) -> str:
    how = "made now" if entry["new"] else "made before, its texts are unchanged"
    lines = [f"{entry['name']}, {entry['version']}: {how}; {entry['pairs']:,} pairs of texts"]
    for kind, after in entry["after"].items():
        lines.append(
            f"{kind}: the second half is found at MRR {after:.3f}, by {entry['base']} at "
            f"{entry['before'][kind]:.3f} ({entry['held_out'][kind]} held out)"
        )
    return "\n".join([*lines, entry["folder"]])
