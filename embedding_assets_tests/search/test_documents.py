import threading
from dataclasses import replace

import numpy as np
import pytest

from embedding_assets.documents.document import Box
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.errors import ModelChangedError, NotFoundError, StoreDamagedError
from embedding_assets.search import serving
from embedding_assets.search.build import build_index, remove_versions_with
from embedding_assets.search.documents import DocumentSearch, Hit, Mode, QueryVectors
from embedding_assets.search.filters import Filters, SearchError, parse_filters
from embedding_assets.search.snapshots import Snapshots
from embedding_assets_tests.search.collection import (
    ENCODER,
    TEXTS,
    Collection,
    of_other_model,
    searcher,
)
from embedding_assets_tests.search.damage import SHAPES, edit_manifest, flip_byte, without_hashes

MODES = list(Mode)


@pytest.fixture
def snapshots(tmp_path):
    found = Snapshots(tmp_path / "index")
    build_index(found, Collection(TEXTS, cake={"title": "Cake", "category": "food"}).source)
    return found


def found_by(search, query, *args, **options):
    return [hit.chunk_id for hit in search.search(query, *args, **options)]


@pytest.mark.parametrize("mode", MODES)
def test_a_hit_says_what_was_found_where_and_by_what(snapshots, mode):
    hits = searcher(snapshots).search("cool cake rack", mode, k=1)
    assert hits == [
        Hit(
            text="cool the cake on a rack",
            score=hits[0].score,
            doc_id="cake",
            path="cake.pdf",
            title="Cake",
            pages=(2,),
            boxes=(Box(1, 1.0, 2.0, 3.0, 4.0),),
            heading_path=("Part", "Chapter"),
            chunk_id="cake-1",
            kind="paragraph",
            model_version="7",
            index_version=snapshots.current(),
            mode=mode.value,
            category="food",
        )
    ]


def test_semantic_search_ranks_by_the_cosine(snapshots):
    hits = searcher(snapshots).search("the court", "semantic", k=100)
    texts = [text for texts in TEXTS.values() for text in texts]
    cosines = ENCODER.encode(texts).vectors @ ENCODER.encode(["the court"]).vectors[0]
    assert [hit.score for hit in hits] == pytest.approx(sorted(cosines, reverse=True), abs=1e-6)
    assert dict(zip(texts, cosines.tolist(), strict=True)) == pytest.approx(
        {hit.text: hit.score for hit in hits}, abs=1e-6
    )


def test_keyword_search_finds_only_what_holds_a_word(snapshots):
    search = searcher(snapshots)
    assert found_by(search, "plaintiff", "keyword") == ["law-0"]
    assert found_by(search, "zebra", "keyword") == []


@pytest.mark.parametrize("words", ["Cake", "chapter"])
def test_keyword_search_reads_titles_and_headings(snapshots, words):
    hits = searcher(snapshots).search(words, "keyword", k=10)
    assert {hit.doc_id for hit in hits} == ({"cake"} if words == "Cake" else set(TEXTS))
    assert len(hits) == (3 if words == "Cake" else 6)


def test_hybrid_search_is_the_default_and_no_hit_comes_twice(snapshots):
    hits = searcher(snapshots).search("eat the cake")
    assert hits[0].text == "eat the cake" and {hit.mode for hit in hits} == {"hybrid"}
    assert len({hit.chunk_id for hit in hits}) == len(hits) == 6


@pytest.mark.parametrize("mode", MODES)
def test_filters_hold_before_the_ranking(snapshots, mode):
    search = searcher(snapshots)
    filters = parse_filters(["category=food", "page>=2"])
    assert set(found_by(search, "cake soup", mode, 2, filters)) == {"cake-1", "cake-2"}
    assert found_by(search, "the soup", mode, 10, Filters(categories=("none",))) == []


def _above_the_edge(hits):
    """Which of equal hits are the last ones is decided by the last bit of their scores."""
    return {hit.chunk_id for hit in hits if hit.score > hits[-1].score + 1e-6}


@pytest.mark.parametrize("mode", MODES)
def test_many_queries_are_answered_as_each_alone(snapshots, mode):
    search = searcher(snapshots)
    queries = ["the cake", "court", "hot soup and onions"]
    for filters in (Filters(), Filters(documents=("cake*", "soup*"))):
        many = search.search_many(queries, mode, 4, filters)
        for query, hits in zip(queries, many, strict=True):
            alone = search.search(query, mode, 4, filters)
            assert _above_the_edge(hits) == _above_the_edge(alone)
            assert [h.score for h in hits] == pytest.approx([h.score for h in alone], abs=1e-6)
    assert search.search_many([], mode) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "query", ["x" * 100_000, "soup " * 20_000, "'; DROP TABLE x; --", "\udcff \0", "*", "汤"]
)
def test_odd_queries_are_just_text(snapshots, mode, query):
    hits = searcher(snapshots).search(query, mode)
    assert len(hits) == len({hit.chunk_id for hit in hits}) <= 6


@pytest.mark.parametrize("query", ["", " \t\n", "\u00a0"])
def test_a_blank_query_is_refused_by_name(snapshots, query):
    with pytest.raises(SearchError, match="query is empty"):
        searcher(snapshots).search(query)


def test_unknown_modes_and_impossible_counts_are_refused_by_name(snapshots):
    with pytest.raises(SearchError, match="'fuzzy'.*semantic, keyword, hybrid"):
        searcher(snapshots).search("cake", "fuzzy")
    with pytest.raises(SearchError, match="0 passages"):
        searcher(snapshots).search("cake", k=0)


@pytest.mark.parametrize("mode", MODES)
def test_without_an_index_or_a_passage_nothing_is_found_by_name(tmp_path, mode):
    snapshots = Snapshots(tmp_path)
    with pytest.raises(NotFoundError, match="No index stands in"):
        searcher(snapshots).search("cake", mode)
    build_index(snapshots, Collection({"scan": []}).source)
    with pytest.raises(NotFoundError, match="no passage yet"):
        searcher(snapshots).search("cake", mode)


def test_keyword_search_loads_no_model(snapshots):
    def refuse(manifest):
        raise AssertionError

    assert DocumentSearch(snapshots, refuse).search("plaintiff", "keyword")


@pytest.mark.parametrize("mode", [Mode.SEMANTIC, Mode.HYBRID])
def test_a_query_is_never_read_by_another_model(snapshots, mode):
    with pytest.raises(ModelChangedError, match="hashing.*materialize document_index"):
        searcher(snapshots, HashingEncoder(16)).search("cake", mode)


def test_an_index_of_another_model_is_searched_with_that_model(snapshots):
    other, model = of_other_model()
    loaded = []

    def encoder(manifest):
        loaded.append(manifest.model.version)
        return {e.fingerprint: e for e in (ENCODER, other)}[manifest.model.fingerprint]

    search = DocumentSearch(snapshots, encoder)
    assert search.search("cake")[0].model_version == "7"
    build_index(snapshots, Collection(TEXTS, model, other).source)
    assert search.search("cake")[0].model_version == "8"
    search.search("soup")
    snapshots.rollback()
    assert search.search("cake")[0].model_version == "7"
    assert loaded == ["7", "8", "7"]


def test_a_new_version_is_used_from_the_next_search_on(snapshots):
    search = searcher(snapshots)
    assert found_by(search, "tea", "keyword") == []
    build_index(snapshots, Collection({**TEXTS, "tea": ["sip the tea"]}).source)
    assert found_by(search, "tea", "keyword") == ["tea-0"]
    assert search.manifest.version == snapshots.current()
    snapshots.rollback()
    assert found_by(search, "tea", "keyword") == []


def test_an_open_version_outlives_its_files(snapshots):
    search = searcher(snapshots)
    version = search.served.version
    name = snapshots.current()
    build_index(snapshots, Collection({"tea": ["sip the tea"]}).source)
    with snapshots.locked():
        snapshots.remove([name])
    rows, _ = version.keywords.search("plaintiff", 1)
    assert version.passages[int(rows[0])]["text"] == TEXTS["law"][0]
    assert len(version.vectors.search(ENCODER.encode(["cake"]).vectors[0], 10)[0]) == 6


class TestForgetting:
    @pytest.mark.parametrize("mode", MODES)
    def test_holds_at_once_for_whoever_is_open_and_whoever_opens(self, snapshots, mode):
        search = searcher(snapshots)
        assert {"cake-0", "cake-1", "cake-2"} <= set(found_by(search, "the cake", mode))
        snapshots.tombstones.add(["cake"])
        for each in (search, searcher(snapshots)):
            hits = each.search("soup cake", mode)
            assert hits and {hit.doc_id for hit in hits} <= {"soup", "law"}
            assert each.search("the cake", mode, 10, Filters(documents=("cake",))) == []
            many = each.search_many(["the cake", "cake"], mode)
            assert "cake" not in {hit.doc_id for hits in many for hit in hits}

    def test_holds_after_rolling_back(self, snapshots):
        search = searcher(snapshots)
        snapshots.tombstones.add(["cake"])
        build_index(snapshots, Collection(TEXTS).source)
        assert found_by(search, "cake", "keyword") == []
        snapshots.rollback()
        assert found_by(search, "cake", "keyword") == []
        assert search.manifest.documents == 3

    def test_ends_when_it_is_lifted(self, snapshots):
        search = searcher(snapshots)
        snapshots.tombstones.add(["cake"])
        assert found_by(search, "cake", "keyword") == []
        snapshots.tombstones.lift(["cake"])
        assert len(found_by(search, "cake", "keyword")) == 3

    def test_of_everything_leaves_no_hit(self, snapshots):
        snapshots.tombstones.add(TEXTS)
        assert searcher(snapshots).search("cake") == []

    @pytest.mark.parametrize("text", ["{", "[[]]", "null", "[" * 5000 + "]" * 5000])
    def test_a_list_that_cannot_be_read_stops_searches(self, snapshots, text):
        search = searcher(snapshots)
        search.search("cake")
        snapshots.tombstones.path.write_text(text)
        with pytest.raises(StoreDamagedError, match="forgotten"):
            search.search("cake")


def test_a_damaged_version_is_named(snapshots):
    (snapshots.path(snapshots.current()) / "passages.arrow").write_bytes(b"torn")
    with pytest.raises(StoreDamagedError, match="Roll back"):
        searcher(snapshots).search("cake")


class TestADamagedNewVersion:
    @pytest.fixture
    def search(self, snapshots):
        """Opened before a version was published that is torn."""
        search = searcher(snapshots)
        search.search("cake")
        build_index(snapshots, Collection({**TEXTS, "tea": ["sip the tea"]}).source)
        (snapshots.path(snapshots.current()) / "passages.arrow").write_bytes(b"torn")
        return search

    @pytest.mark.parametrize("mode", MODES)
    def test_leaves_the_old_one_in_service(self, snapshots, search, mode):
        old, new = snapshots.names()
        hits = search.search("cake", mode)
        assert {hit.index_version for hit in hits} == {old} == {search.manifest.version}
        assert search.trouble.version == new
        assert isinstance(search.trouble.error, StoreDamagedError)

    def test_is_opened_once_and_not_by_every_search(self, search, monkeypatch):
        search.search("cake")
        monkeypatch.setattr(serving, "IndexVersion", None)
        assert search.search("cake")

    def test_does_not_bring_forgotten_documents_back(self, snapshots, search):
        snapshots.tombstones.add(["cake"])
        assert found_by(search, "cake", "keyword") == []
        assert found_by(search, "plaintiff", "keyword") == ["law-0"]
        assert search.served.documents["doc_id"].to_pylist() == ["soup", "law"]

    def test_is_followed_by_the_next_that_is_whole(self, snapshots, search):
        search.search("cake")
        build_index(snapshots, Collection({**TEXTS, "tea": ["sip the hot tea"]}).source)
        assert found_by(search, "tea", "keyword") == ["tea-0"] and search.trouble is None

    def test_is_forgotten_after_rolling_back(self, snapshots, search):
        search.search("cake")
        snapshots.rollback()
        assert search.search("cake") and search.trouble is None

    def test_that_is_gone_leaves_the_old_one_too(self, snapshots, search):
        (snapshots.folder / "current").write_text("gone\n")
        assert search.search("cake") and search.trouble.version == "gone"

    def test_of_which_every_document_was_removed_ends_the_old_one(self, snapshots, search):
        build_index(snapshots, Collection({"scan": []}).source)
        with pytest.raises(NotFoundError, match="no passage yet"):
            search.search("cake")


class TestOpeningInTheBackground:
    @pytest.fixture
    def search(self, snapshots):
        search = DocumentSearch(snapshots, lambda manifest: ENCODER, in_background=True)
        search.search("cake")
        return search

    def settle(self, search):
        """Until nothing is being opened."""
        with search._index._opening:
            pass

    def test_answers_from_the_old_version_until_the_new_one_is_open(self, snapshots, search):
        build_index(snapshots, Collection({**TEXTS, "tea": ["sip the tea"]}).source)
        old, new = snapshots.names()
        assert {hit.index_version for hit in search.search("cake")} == {old}
        self.settle(search)
        assert {hit.index_version for hit in search.search("cake")} == {new}

    def test_never_waits_with_forgetting(self, snapshots, search):
        build_index(snapshots, Collection({**TEXTS, "tea": ["sip the tea"]}).source)
        snapshots.tombstones.add(["cake"])
        for _ in range(2):
            assert "cake" not in {hit.doc_id for hit in search.search("eat the cake")}
            self.settle(search)
        assert search.manifest.version == snapshots.current()

    def test_leaves_the_old_version_when_the_new_one_is_damaged(self, snapshots, search):
        build_index(snapshots, Collection({**TEXTS, "tea": ["sip the tea"]}).source)
        (snapshots.path(snapshots.current()) / "passages.arrow").write_bytes(b"torn")
        for _ in range(2):
            assert {hit.index_version for hit in search.search("cake")} == {snapshots.names()[0]}
            self.settle(search)
        assert search.trouble.version == snapshots.current()

    @pytest.mark.parametrize(
        "damage",
        [*(lambda folder, shape=shape: (folder / "manifest.json").write_text(shape)
           for shape in SHAPES),
         lambda folder: flip_byte(folder / "passages.arrow"),
         lambda folder: edit_manifest(folder, files=None),
         lambda folder: edit_manifest(folder, version="other")],
    )  # fmt: skip
    def test_leaves_the_old_version_whatever_is_wrong_with_the_new_one(
        self, snapshots, search, damage
    ):
        build_index(snapshots, Collection({**TEXTS, "tea": ["sip the tea"]}).source)
        damage(snapshots.path(snapshots.current()))
        for _ in range(2):
            assert {hit.index_version for hit in search.search("cake")} == {snapshots.names()[0]}
            self.settle(search)
        assert search.trouble.version == snapshots.current()
        assert isinstance(search.trouble.error, StoreDamagedError)

    @pytest.mark.parametrize("error", [RecursionError("deep"), IndexError("none"), MemoryError()])
    def test_leaves_the_old_version_when_opening_the_new_one_breaks(
        self, snapshots, search, monkeypatch, error
    ):
        def fail(folder):
            raise error

        build_index(snapshots, Collection({**TEXTS, "tea": ["sip the tea"]}).source)
        monkeypatch.setattr(serving.IndexVersion, "open", fail)
        for _ in range(2):
            assert {hit.index_version for hit in search.search("cake")} == {snapshots.names()[0]}
            self.settle(search)
        assert type(error).__name__ in search.trouble.error.problem

    def test_ends_with_the_old_version_when_every_document_was_removed(self, snapshots, search):
        build_index(snapshots, Collection({"scan": []}).source)
        search.search("cake")
        self.settle(search)
        with pytest.raises(NotFoundError, match="no passage yet"):
            search.search("cake")


class TestQueriesThatAreEncodedAlready:
    def test_are_not_encoded_again(self, snapshots):
        def refuse(manifest):
            raise AssertionError

        given = QueryVectors(ENCODER.fingerprint, ENCODER.encode(["the court"]).vectors)
        for mode in MODES:
            hits = DocumentSearch(snapshots, refuse).search("the court", mode, vectors=given)
            assert hits == searcher(snapshots).search("the court", mode)

    def test_must_be_of_the_models_vectors_and_as_many(self, snapshots):
        other = HashingEncoder(16)
        given = QueryVectors(other.fingerprint, other.encode(["cake"]).vectors)
        with pytest.raises(ModelChangedError, match="hashing.*materialize document_index"):
            searcher(snapshots).search("cake", vectors=given)
        two = QueryVectors(ENCODER.fingerprint, ENCODER.encode(["cake", "soup"]).vectors)
        with pytest.raises(ValueError, match="1 queries but 2 vectors"):
            searcher(snapshots).search("cake", vectors=two)


def test_the_documents_of_the_version_that_answers_are_listed_without_forgotten_ones(snapshots):
    search = searcher(snapshots)
    assert search.served.documents["doc_id"].to_pylist() == [*TEXTS]
    assert search.served.documents["rows"].to_pylist() == [2, 3, 1]
    snapshots.tombstones.add(["cake"])
    assert search.served.documents["doc_id"].to_pylist() == ["soup", "law"]


def test_parts_that_do_not_belong_together_are_named(snapshots):
    build_index(snapshots, Collection({**TEXTS, "tea": ["sip"]}).source)
    old, new = (snapshots.path(name) for name in snapshots.names())
    without_hashes(new)
    (new / "passages.arrow").write_bytes((old / "passages.arrow").read_bytes())
    with pytest.raises(StoreDamagedError, match="6 passages, 7 texts"):
        searcher(snapshots).search("cake")


def test_a_version_that_is_swept_while_it_is_opened_is_followed_by_the_next(snapshots, monkeypatch):
    search = searcher(snapshots)
    names = iter(["gone", "gone"])
    real = Snapshots.current
    monkeypatch.setattr(Snapshots, "current", lambda self: next(names, None) or real(self))
    assert found_by(search, "plaintiff", "keyword") == ["law-0"]


def test_a_current_version_without_its_folder_is_named(snapshots):
    (snapshots.folder / "current").write_text("gone\n")
    with pytest.raises(NotFoundError, match="version gone is gone"):
        searcher(snapshots).search("cake")


def test_searches_go_on_while_versions_come_and_go(snapshots):
    search = searcher(snapshots)
    wrong, counts, done = [], [0] * 3, threading.Event()

    def ask(number):
        while not done.is_set() or not counts[number]:
            try:
                hits = search.search("sip the tea", MODES[number], k=50)
                if len({hit.index_version for hit in hits}) > 1:
                    wrong.append("two versions in one answer")
                if any(hit.doc_id == "law" for hit in hits) and forgotten.is_set():
                    wrong.append("forgotten document returned")
            except Exception as error:  # noqa: BLE001
                wrong.append(repr(error))
            counts[number] += 1

    forgotten = threading.Event()
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for n in range(8):
        build_index(snapshots, Collection({**TEXTS, "tea": [f"sip the tea {n}"]}).source)
    snapshots.rollback()
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == [] and min(counts) > 0
    assert search.search("tea")[0].index_version == snapshots.current()


def test_the_fingerprint_decides_not_the_name(snapshots):
    search = searcher(snapshots)
    other = replace(Collection(TEXTS).model, name="renamed")
    build_index(snapshots, Collection(TEXTS, other).source)
    assert search.search("cake") and search.manifest.model.name == "renamed"


def test_old_versions_with_a_forgotten_document_do_not_come_back(snapshots):
    snapshots.tombstones.add(["cake"])
    build_index(snapshots, Collection(TEXTS).source)
    assert len(remove_versions_with(snapshots, ["cake"])) == 1
    with pytest.raises(NotFoundError):
        snapshots.rollback()
    assert np.isfinite([hit.score for hit in searcher(snapshots).search("cake")]).all()
