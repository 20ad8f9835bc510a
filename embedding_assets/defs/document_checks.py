"""What must hold of the assets of documents, looked at after each materialization."""

from typing import Any

import dagster as dg

from embedding_assets.defs.documents import document_classifier
from embedding_assets.defs.resources import WorkspaceResource


@dg.asset_check(asset=document_classifier)
def document_classifier_learnt(workspace: WorkspaceResource) -> dg.AssetCheckResult:
    """The classifier is what comes of the labels as they are now; else the last good one stays."""
    footer = workspace.open().table("document_classifier").footer()
    stats = footer.stats if footer else {}
    told: dict[str, Any] = {name: stats[name] for name in ("problem", "mend") if name in stats}
    return dg.AssetCheckResult(passed=not told, metadata=told)
