import json
from pathlib import Path

import pytest

from embedding_assets.errors import EmptyInputError, InputNotFoundError
from embedding_assets.quality.collections import Collection, CollectionError, load_collection

RETRIEVAL = Path(__file__).parents[3] / "shared" / "data" / "retrieval"
real = pytest.mark.skipif(not RETRIEVAL.exists(), reason="needs ../shared/data beside the checkout")


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


CORPUS = [
    {"_id": "d1", "title": "Wings", "text": "in a slipstream"},
    {"_id": "d2", "title": "", "text": "Heat"},
    {"_id": "d3", "text": ""},
]
QUERIES = [{"_id": "q1", "text": "wing"}, {"_id": "q2", "text": "slab"}]
CORPUS_LINES, QUERY_LINES = lines(CORPUS), lines(QUERIES)
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq1\td3\t1\n"


@pytest.fixture
def beir(tmp_path):
    def write(corpus=CORPUS_LINES, queries=QUERY_LINES, qrels=QRELS, name="qrels.tsv"):
        folder = tmp_path / "toy"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "corpus.jsonl").write_text(corpus)
        (folder / "queries.jsonl").write_text(queries)
        (folder / name).write_text(qrels)
        return folder

    return write


SMART = {
    "X.ALL": ".I 1\n.T\nA\ntitle\n.A\nSomebody\n.W\nFirst text.\n.X\n5 1 1\n.I 2\n.W\n",
    "X.QRY": ".I 7\n.W\nwhat\n  wing .\n.I 9\n.W\nslab\n",
}


@pytest.fixture
def smart(tmp_path):
    def write(judgements, **files):
        for name, text in {**SMART, "X.REL": judgements, **files}.items():
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize("name", ["qrels.tsv", "qrels/test.tsv"])
def test_a_beir_folder_is_read(beir, name):
    assert load_collection(beir(name=name)) == Collection(
        "toy",
        {"d1": "Wings\nin a slipstream", "d2": "Heat", "d3": ""},
        {"q1": "wing", "q2": "slab"},
        {"q1": {"d1": 2, "d2": 0, "d3": 1}},
    )


def test_only_queries_with_a_relevant_document_are_asked(beir):
    collection = load_collection(beir(qrels=QRELS + "q2\td1\t0\n"))
    assert collection.queries == {"q1": "wing"}
    assert collection.judgements == {"q1": {"d1": 2, "d2": 0, "d3": 1}}


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_a_missing_file_is_named(beir, name):
    folder = beir()
    (folder / name).unlink()
    with pytest.raises(InputNotFoundError, match=r"corpus\.jsonl|queries\.jsonl|test\.tsv"):
        load_collection(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputNotFoundError, match="nowhere"):
        load_collection(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"corpus": '{"_id": "d1"}\n'}, "Line 1 .*'text' is None"),
        ({"corpus": '{"_id": 1, "text": ""}\n'}, "'_id' is 1"),
        ({"corpus": "\n{oops\n"}, "Line 2 .*corpus.jsonl"),
        ({"corpus": "[]\n"}, "no object"),
        ({"corpus": "[" * 100_000}, "Line 1 .*corpus.jsonl"),
        ({"queries": lines([*QUERIES, QUERIES[0]])}, "Line 3 .*'q1' was given before"),
        ({"qrels": "q1 d1 1\n"}, "Line 1 .*'q1 d1 1'"),
        ({"qrels": "q1\td1\tgood\n"}, "Line 1"),
        ({"qrels": "q1\td1\tinf\n"}, "Line 1"),
        ({"qrels": QRELS + "q9\td1\t1\n"}, "unknown query ids, first 'q9'"),
        ({"qrels": QRELS + "q2\td7\t1\n"}, "unknown document ids, first 'd7'"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(beir, files, problem):
    with pytest.raises(CollectionError, match=problem):
        load_collection(beir(**files))


def test_a_file_that_is_no_text_is_named(beir):
    folder = beir()
    (folder / "corpus.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CollectionError, match=r"corpus\.jsonl cannot be read"):
        load_collection(folder)


@pytest.mark.parametrize("qrels", ["", "query-id\tcorpus-id\tscore\n", "q1\td1\t0\n"])
def test_a_collection_without_a_relevant_document_is_refused(beir, qrels):
    with pytest.raises(EmptyInputError, match="toy"):
        load_collection(beir(qrels=qrels))


@pytest.mark.parametrize(
    ("judgements", "grades"),
    [
        ("2 1 1\n2 2 4 \n1 2 -1\n", {"9": {"1": 4, "2": 1}}),
        ("1 0 2 1\n", {"7": {"2": 1}}),
        ("     1     2\t0\t0.000000\n", {"7": {"2": 1}}),
    ],
    ids=["code, best is 1", "trec", "weight 0"],
)
def test_smart_judgements_of_each_form_are_read_by_position(smart, judgements, grades):
    collection = load_collection(smart(judgements))
    assert collection.documents == {"1": "A title\nFirst text.", "2": ""}
    assert collection.judgements == grades
    texts = {"7": "what wing .", "9": "slab"}
    assert collection.queries == {query: texts[query] for query in grades}


@pytest.mark.parametrize("judgements", ["3 1 1\n", "0 1 1\n", "1\n", "1 2 3 4\n", "a 1 1\n"])
def test_smart_judgements_that_fit_no_form_are_named(smart, judgements):
    with pytest.raises(CollectionError, match=r"Line 1 of .*X\.REL"):
        load_collection(smart(judgements))


def test_text_before_the_first_record_is_refused(smart):
    with pytest.raises(CollectionError, match=r"Line 1 of .*X\.QRY"):
        load_collection(smart("1 1 1\n", **{"X.QRY": "what wing\n"}))


def test_a_smart_folder_without_judgements_is_refused(smart):
    folder = smart("1 1 1\n")
    (folder / "X.REL").unlink()
    with pytest.raises(InputNotFoundError, match="0 files"):
        load_collection(folder)


@real
@pytest.mark.parametrize(
    ("name", "documents", "empty", "queries", "relevant", "grades"),
    [
        ("cranfield", 1400, ["471", "995"], 225, 1612, {1, 2, 3, 4}),
        ("med", 1033, [], 30, 696, {1}),
        ("cisi", 1460, [], 76, 3114, {1}),
    ],
)
def test_the_real_collections_are_read(name, documents, empty, queries, relevant, grades):
    collection = load_collection(RETRIEVAL / name)
    assert len(collection.documents) == documents
    assert [doc for doc, text in collection.documents.items() if not text] == empty
    assert len(collection.queries) == queries
    judged = [grade for each in collection.judgements.values() for grade in each.values()]
    assert (len(judged), set(judged)) == (relevant, grades)


@real
def test_cranfield_names_its_queries_by_position():
    collection = load_collection(RETRIEVAL / "cranfield")
    assert collection.queries["004"].startswith("what problems of heat conduction in composite")
    assert collection.judgements["004"] == {"5": 2, "6": 2, "90": 2, "91": 2, "119": 2, "144": 2,
                                            "181": 2, "399": 2}  # fmt: skip
