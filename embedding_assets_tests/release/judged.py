"""Gates as a test wants them, and documents that come after they were judged."""

from dataclasses import replace

from embedding_assets.release.gate_table import GATES_TABLE
from embedding_assets.release.promote import evaluate_challenger
from embedding_assets.release.work import PARTS
from embedding_assets_tests.release.two_models import read_documents, write_documents

LENIENT = {"margin": 1.0, "overlap": 0.0, "duplicates": 1.0}


def opened_gates(workspace, **changes):
    """The gates judged, and then as the test wants them."""
    found = evaluate_challenger(workspace)
    gates = tuple(replace(gate, verdict=changes.get(gate.name, "passed")) for gate in found.gates)
    keep(workspace, replace(found, gates=gates))
    return found


def keep(workspace, judgement):
    """What is stored as the last judgement."""
    workspace.table(GATES_TABLE).replace(judgement.to_slice())


def add_documents(place, workspace, texts):
    """They are embedded by the model of the workspace."""
    write_documents(place, texts)
    read_documents(workspace)
    for _ in PARTS[0].make(workspace):
        pass
