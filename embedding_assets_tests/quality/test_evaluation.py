import json
from pathlib import Path

import numpy as np
import pytest

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.model import DEFAULT_MODEL, resolve_model
from embedding_assets.embedding.store import VectorStore
from embedding_assets.embedding.transformer import BERT, build_encoder
from embedding_assets.quality import encoded, evaluation
from embedding_assets.quality.collections import Collection, load_collection
from embedding_assets.quality.evaluation import MODES, evaluate
from embedding_assets.quality.picture import picture
from embedding_assets.quality.retrieval import METRICS, ndcg
from embedding_assets.search.keyword import KeywordIndex

RETRIEVAL = Path(__file__).parents[3] / "shared" / "data" / "retrieval"
real = pytest.mark.skipif(not RETRIEVAL.exists(), reason="needs ../shared/data beside the checkout")
TOY = Collection(
    "toy",
    {"a": "wing in a slipstream", "b": " ", "c": "heat in slabs", "d": "wing of a bird"},
    {"1": "slipstream wing", "2": "slab heat", "3": "nothing of this"},
    {"1": {"a": 2, "d": 1}, "2": {"c": 1, "b": 1}, "3": {"d": 1}},
)


@pytest.fixture(scope="module")
def judged():
    return evaluate(TOY, HashingEncoder())


def test_each_mode_is_judged_by_each_metric(judged):
    assert [*judged.scores] == [*MODES]
    assert all([*scores] == [*METRICS] for scores in judged.scores.values())
    assert (judged.collection, judged.documents, judged.queries) == ("toy", 3, 3)


def test_keyword_scores_are_those_of_the_rankings(judged):
    ideal = 1 + 1 / np.log2(3)
    assert judged.scores["keyword"]["ndcg@10"].mean == pytest.approx((1 + 1 / ideal + 0) / 3)
    assert judged.scores["keyword"]["mrr@10"].mean == pytest.approx((1 + 1 + 0) / 3)
    assert judged.scores["keyword"]["recall@100"].mean == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_a_document_without_text_is_never_found_but_missed(judged):
    found = {mode: judged.scores[mode]["recall@100"].mean for mode in MODES}
    assert found == pytest.approx({"keyword": 0.5, "semantic": 2.5 / 3, "hybrid": 2.5 / 3})


def test_hybrid_is_compared_with_both_others_on_the_same_queries(judged):
    pairs = [(comparison.one, comparison.other) for comparison in judged.comparisons]
    assert pairs == [("hybrid", "keyword"), ("hybrid", "semantic"), ("semantic", "keyword")]
    for comparison in judged.comparisons:
        one, other = (judged.scores[mode] for mode in (comparison.one, comparison.other))
        assert comparison.difference == pytest.approx(one["ndcg@10"].mean - other["ndcg@10"].mean)


def test_small_blocks_give_the_same_scores(judged, monkeypatch):
    monkeypatch.setattr(encoded, "_TEXTS_AT_ONCE", 1)
    monkeypatch.setattr(evaluation, "_QUERIES_AT_ONCE", 2)
    assert evaluate(TOY, HashingEncoder()).scores == judged.scores


def test_stored_vectors_are_not_computed_again(judged, tmp_path):
    class Counting(HashingEncoder):
        texts = 0

        def encode(self, texts):
            self.texts += len(texts)
            return super().encode(texts)

    encoder = Counting()
    store = VectorStore.of(tmp_path, encoder)
    assert evaluate(TOY, encoder, store).scores == judged.scores
    assert encoder.texts == 6
    assert evaluate(TOY, encoder, store).scores == judged.scores
    assert encoder.texts == 9


def test_the_table_has_a_line_per_mode_and_json_everything(judged):
    table = judged.to_table()
    assert table[0] == ("mode", "ndcg@10", "mrr@10", "recall@10", "recall@100")
    assert [line[0] for line in table[1:]] == [*MODES]
    low, high = (judged.scores["keyword"]["mrr@10"].low, judged.scores["keyword"]["mrr@10"].high)
    assert table[1][2] == f"0.667 ({low:.3f} to {high:.3f})"
    read = json.loads(json.dumps(judged.to_dict()))
    assert read["scores"]["hybrid"]["ndcg@10"]["mean"] == judged.scores["hybrid"]["ndcg@10"].mean
    assert read["comparisons"][0]["other"] == "keyword"
    assert read["hybrid_is_worse"] is judged.hybrid_is_worse is False


def test_a_hybrid_that_loses_beyond_chance_is_said(monkeypatch):
    def reversed_fuse(rows, scores, *_, **__):
        return rows[:0], scores[:0]

    monkeypatch.setattr(evaluation, "fuse", reversed_fuse)
    assert evaluate(TOY, HashingEncoder()).hybrid_is_worse


def test_the_picture_is_a_png_file(judged):
    assert picture(judged).startswith(b"\x89PNG\r\n\x1a\n")


@real
@pytest.mark.parametrize(("name", "least"), [("cranfield", 0.38), ("med", 0.71), ("cisi", 0.39)])
def test_keywords_find_what_real_judges_found(name, least):
    collection = load_collection(RETRIEVAL / name)
    ids = {document: row for row, document in enumerate(collection.documents)}
    index = KeywordIndex.build(collection.documents.values())
    ranked = [index.search(query, 10)[0] for query in collection.queries.values()]
    grades = [
        {ids[document]: grade for document, grade in collection.judgements[query].items()}
        for query in collection.queries
    ]
    assert ndcg(ranked, grades, 10).mean() > least


def first_queries_of(collection, count):
    """The first queries, the documents that answer them, and every fifth other document."""
    queries = dict([*collection.queries.items()][:count])
    judgements = {query: collection.judgements[query] for query in queries}
    answers = {document for grades in judgements.values() for document in grades}
    documents = {
        name: text
        for number, (name, text) in enumerate(collection.documents.items())
        if name in answers or number % 5 == 0
    }
    return Collection(collection.name, documents, queries, judgements)


@real
def test_hybrid_search_is_better_than_either_on_real_queries(tmp_path):
    layout = resolve_model(DEFAULT_MODEL, tmp_path).layout
    encoder = build_encoder(layout, "float32", BERT, "fingerprint")
    judged = evaluate(first_queries_of(load_collection(RETRIEVAL / "med"), 8), encoder)
    means = {mode: scores["ndcg@10"].mean for mode, scores in judged.scores.items()}
    assert means["hybrid"] > max(means["semantic"], means["keyword"]) > 0.7
    assert not judged.hybrid_is_worse
