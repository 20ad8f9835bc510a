import io

import pytest
from PIL import Image

from embedding_assets_tests.api.routes.test_search import refused
from embedding_assets_tests.api.stocked import BOX, TEXTS
from embedding_assets_tests.documents.test_picture import MARKED, colours

ODD_IDS = [
    "../../store/assets/documents/soup.pdf",
    "/etc/passwd",
    "x.pdf",
    "soup.pdf\0",
    ".",
    "%2e%2e",
]


class TestTheList:
    def test_has_what_is_searched_by_id(self, kept):
        answer = kept.get("/documents").json()
        assert [each["doc_id"] for each in answer["documents"]] == sorted(TEXTS)
        assert answer["next"] is None
        assert answer["documents"][0] == {
            "doc_id": "cake.pdf",
            "path": "cake.pdf",
            "title": "Cake.Pdf",
            "format": "pdf",
            "pages": 3,
            "chunks": 3,
            "category": None,
            "modified": "2026-01-01T00:00:00Z",
        }

    def test_comes_in_pages(self, kept):
        seen, after = [], None
        while True:
            answer = kept.get(
                "/documents", params={"limit": 2, **({"after": after} if after else {})}
            )
            body = answer.json()
            assert len(body["documents"]) <= 2
            seen += [each["doc_id"] for each in body["documents"]]
            after = body["next"]
            if after is None:
                break
        assert seen == sorted(TEXTS)
        assert kept.get("/documents", params={"after": "zzz"}).json()["documents"] == []

    def test_is_empty_before_anything_was_indexed(self, client):
        assert client.get("/documents").json() == {"documents": [], "next": None}

    def test_leaves_forgotten_documents_out(self, stocked, stock):
        stock.snapshots.tombstones.add(["cake.pdf"])
        listed = stocked.get("/documents").json()["documents"]
        assert [each["doc_id"] for each in listed] == ["laws/court.json", "soup.pdf"]

    @pytest.mark.parametrize("limit", [0, -1, 201, 10**9, "x"])
    def test_of_an_impossible_length_is_refused(self, kept, limit):
        refused(kept.get("/documents", params={"limit": limit}), 422, "limit")


class TestReading:
    def test_gives_the_blocks_with_their_places(self, kept):
        answer = kept.get("/documents/read", params={"doc_id": "soup.pdf"}).json()
        assert [block["text"] for block in answer["blocks"]] == TEXTS["soup.pdf"]
        assert answer["blocks"][1]["boxes"] == [vars(BOX)]
        assert answer["pages"][0] == {"number": 1, "width": 600.0, "height": 800.0}
        assert (answer["title"], answer["format"], answer["next"]) == ("Soup.Pdf", "pdf", None)

    def test_comes_in_stretches(self, kept):
        ask = {"doc_id": "cake.pdf", "limit": 2}
        first = kept.get("/documents/read", params=ask).json()
        second = kept.get("/documents/read", params={**ask, "start": first["next"]}).json()
        texts = [block["text"] for each in (first, second) for block in each["blocks"]]
        assert texts == TEXTS["cake.pdf"] and second["next"] is None
        beyond = kept.get("/documents/read", params={**ask, "start": 10**6}).json()
        assert beyond["blocks"] == [] and beyond["next"] is None

    @pytest.mark.parametrize("doc_id", ODD_IDS)
    def test_of_ids_that_no_document_has_is_refused(self, kept, doc_id):
        refused(kept.get("/documents/read", params={"doc_id": doc_id}), 404, "no document")

    def test_of_forgotten_documents_is_refused(self, stocked, stock):
        stock.snapshots.tombstones.add(["soup.pdf"])
        answer = stocked.get("/documents/read", params={"doc_id": "soup.pdf"})
        refused(answer, 404, "no document")

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"doc_id": ""},
            {"doc_id": "x" * 1_001},
            {"doc_id": "soup.pdf", "start": -1},
            {"doc_id": "soup.pdf", "limit": 0},
            {"doc_id": "soup.pdf", "start": 10**30},
        ],
    )
    def test_with_wrong_values_is_refused(self, kept, params):
        refused(kept.get("/documents/read", params=params), 422)


class TestPictures:
    def picture(self, client, **params):
        return client.get("/documents/image", params={"doc_id": "soup.pdf", "page": 1, **params})

    def test_show_the_page_with_the_passage_marked(self, kept):
        answer = self.picture(kept, chunk_id="soup.pdf-0", width=300)
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
        assert Image.open(io.BytesIO(answer.content)).size == (300, 400)
        assert MARKED in colours(answer.content)
        assert MARKED not in colours(self.picture(kept, page=2).content)

    @pytest.mark.parametrize("doc_id", ODD_IDS)
    def test_of_ids_that_no_document_has_are_refused(self, kept, doc_id):
        refused(self.picture(kept, doc_id=doc_id), 404, "no document")

    @pytest.mark.parametrize(
        ("params", "status", "word"),
        [
            ({"page": 3}, 404, "no page 3"),
            ({"page": 0}, 422, "page"),
            ({"page": -1}, 422, "page"),
            ({"page": 10**30}, 422, "page"),
            ({"page": "x"}, 422, "page"),
            ({"width": 199}, 422, "width"),
            ({"width": 2_001}, 422, "width"),
            ({"chunk_id": "cake.pdf-0"}, 404, "no passage"),
            ({"chunk_id": "' OR 1=1 --"}, 404, "no passage"),
            ({"doc_id": "laws/court.json"}, 404, "no PDF"),
        ],
    )
    def test_that_cannot_be_are_refused(self, kept, params, status, word):
        refused(self.picture(kept, **params), status, word)

    def test_of_files_that_changed_are_refused(self, stocked, stock):
        (stock.library.folder / "soup.pdf").write_bytes(b"%PDF-1.7 something else")
        body = refused(self.picture(stocked), 409, "changed or removed")
        assert body["type"].endswith(":changed-document")

    def test_of_forgotten_documents_are_refused_also_when_they_were_drawn_before(
        self, stocked, stock
    ):
        assert self.picture(stocked).status_code == 200
        stock.snapshots.tombstones.add(["soup.pdf"])
        refused(self.picture(stocked), 404, "no document")

    def test_of_a_file_that_cannot_be_drawn_are_refused(self, stocked, stock, monkeypatch):
        monkeypatch.setitem(TEXTS, "torn.pdf", ["x"])
        stock._store("torn.pdf", ["x"])
        torn = b"%PDF-1.7 torn"
        monkeypatch.setattr("embedding_assets_tests.documents.parse.pdfs.pdf", lambda *_: torn)
        stock._store("torn.pdf", ["x"])
        refused(self.picture(stocked, doc_id="torn.pdf"), 422, "cannot be drawn")
