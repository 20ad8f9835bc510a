from dataclasses import replace

import pytest

from embedding_assets.forget.accounts import forget_account
from embedding_assets.release.basis import basis_of, why_stale
from embedding_assets.release.gate_table import GATES_TABLE, Judgement
from embedding_assets.release.promote import GateError, promote, require_open
from embedding_assets_tests.release.judged import add_documents, keep, opened_gates
from embedding_assets_tests.release.two_models import TOPICS

TEA = {f"tea{n}": f"Steep the leaves for {n + 2} minutes and pour the tea." for n in range(4)}


def test_results_of_a_store_that_has_grown_since_are_stale(place, staged):
    first, second = staged
    opened_gates(first)
    before = second.rows("doc_vectors")
    add_documents(place, first, TEA)
    assert second.rows("doc_vectors") == before
    with pytest.raises(GateError, match="doc_vectors had 4 rows then and has 8 now"):
        promote(first)


def test_results_of_texts_that_were_all_rewritten_are_stale(place, staged):
    opened_gates(staged[0])
    require_open(*staged)
    rows = staged[0].rows("doc_vectors")
    add_documents(place, staged[0], {name: text[::-1] for name, text in TOPICS.items()})
    assert staged[0].rows("doc_vectors") == rows
    with pytest.raises(GateError, match="about 100% of doc_vectors have other content"):
        require_open(*staged)


def test_results_that_tell_nothing_of_what_was_stored_are_stale(staged):
    found = opened_gates(staged[0])
    keep(staged[0], replace(found, basis={k: v for k, v in found.basis.items() if k != "content"}))
    stored = Judgement.stored(staged[0].table(GATES_TABLE))
    assert "content" not in stored.basis
    assert "kept no note of what was stored" in why_stale(stored, *staged)


def test_what_was_stored_is_known_of_every_table_and_shown_nobody(staged):
    found = opened_gates(staged[0])
    assert all(found.basis["content"].values())
    assert found.basis == basis_of(*staged)
    assert "content" not in staged[0].table(GATES_TABLE).footer().stats["basis"]


def test_histories_and_items_that_are_gone_count(staged):
    found = opened_gates(staged[0])
    forget_account(staged[0], "account-1")
    rows = basis_of(*staged)["rows"]
    why = why_stale(replace(found, basis=found.basis | {"rows": rows}), *staged)
    assert why == "about 25% of account_embeddings have other content than then"
