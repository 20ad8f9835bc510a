import io
import os
import threading

import pytest
from PIL import Image

from embedding_assets.documents import painter as painters
from embedding_assets.documents.limits import Limits
from embedding_assets.documents.painter import Painter, PictureDelayedError, PictureError
from embedding_assets.documents.picture import (
    ChangedDocumentError,
    NoPictureError,
    PagePictures,
)
from embedding_assets.errors import InputError, NotFoundError
from embedding_assets_tests.documents.parse import pdfs
from embedding_assets_tests.documents.shelf import Shelf


@pytest.fixture(scope="module")
def painter():
    """One for all tests: starting a process takes longer than any of them."""
    made = Painter(("secret",), Limits(seconds=20, cpu_seconds=5, memory_mb=300))
    yield made
    made.close()


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(tmp_path)
    made.put("a.pdf", "boil the onions", "serve the soup")
    return made


@pytest.fixture
def pictures(shelf, painter):
    return PagePictures(shelf.pages, painter)


class Counted:
    """A painter that only counts what it is asked for."""

    def __init__(self, before=lambda: None):
        self.orders = []
        self.before = before

    def draw(self, order):
        self.orders.append(order)
        self.before()
        return b"x" * 100


def colours(png):
    return {colour for _, colour in Image.open(io.BytesIO(png)).getcolors(2**20)}


MARKED = (255, 234, 130)


def test_a_page_shows_the_marked_passage(pictures):
    assert MARKED in colours(pictures.picture("a.pdf", 1, "a.pdf-0"))
    assert MARKED not in colours(pictures.picture("a.pdf", 2, "a.pdf-0"))
    assert MARKED not in colours(pictures.picture("a.pdf", 1))


@pytest.mark.parametrize(
    "doc_id", ["b.pdf", "", "../a.pdf", "/etc/passwd", "a.pdf\0", "a.pdf/", "."]
)
def test_ids_that_no_document_has_are_named_and_touch_no_file(pictures, doc_id):
    with pytest.raises(NotFoundError, match="no document"):
        pictures.picture(doc_id, 1)


@pytest.mark.parametrize("page", [0, -1, 3, 10**9])
def test_pages_that_the_document_lacks_are_named(pictures, page):
    with pytest.raises(NotFoundError, match=f"no page {page}; it has 2"):
        pictures.picture("a.pdf", page)


def test_unknown_passages_are_named(pictures):
    with pytest.raises(NotFoundError, match="no passage 'x'"):
        pictures.picture("a.pdf", 1, "x")


@pytest.mark.parametrize("width", [199, 2001, 0, -5])
def test_widths_out_of_range_are_named(pictures, width):
    with pytest.raises(InputError, match="200 to 2000"):
        pictures.picture("a.pdf", 1, width=width)


def test_other_formats_have_no_picture(shelf, pictures):
    shelf.put("b.docx", "words", content=b"PK")
    with pytest.raises(NoPictureError, match="no PDF"):
        pictures.picture("b.docx", 1)


class TestAFileThatIsNotTheOneThatWasRead:
    def test_is_refused_when_its_bytes_changed(self, shelf):
        painter = Counted()
        pictures = PagePictures(shelf.pages, painter)
        path = shelf.folder / "a.pdf"
        for content in (path.read_bytes().replace(b"soup", b"stew"), path.read_bytes() + b"\n"):
            path.write_bytes(content)
            with pytest.raises(ChangedDocumentError, match="changed or removed"):
                pictures.picture("a.pdf", 1)
        path.unlink()
        with pytest.raises(ChangedDocumentError):
            pictures.picture("a.pdf", 1)
        assert painter.orders == []

    def test_is_not_refused_for_its_times_alone(self, shelf):
        pictures = PagePictures(shelf.pages, Counted())
        pictures.picture("a.pdf", 1)
        os.utime(shelf.folder / "a.pdf", (1, 1))
        assert pictures.picture("a.pdf", 1)

    def test_is_refused_when_it_changes_while_it_is_drawn(self, shelf):
        path = shelf.folder / "a.pdf"
        pictures = PagePictures(shelf.pages, Counted(lambda: path.write_bytes(b"other")))
        with pytest.raises(ChangedDocumentError):
            pictures.picture("a.pdf", 1)

    def test_gets_no_marks_before_its_passages_are_cut_anew(self, shelf):
        pictures = PagePictures(shelf.pages, Counted())
        (shelf.folder / "a.pdf").write_bytes(pdfs.pdf("", ""))
        shelf.store("a.pdf", pages=2, cut=False)
        assert pictures.picture("a.pdf", 1)
        with pytest.raises(ChangedDocumentError, match="not cut yet"):
            pictures.picture("a.pdf", 1, "a.pdf-0")


class TestTheCache:
    def test_draws_the_same_picture_once(self, shelf):
        painter = Counted()
        pictures = PagePictures(shelf.pages, painter)
        for _ in range(3):
            pictures.picture("a.pdf", 1, "a.pdf-0", 300)
        pictures.picture("a.pdf", 1, "a.pdf-0", 301)
        pictures.picture("a.pdf", 1, None, 300)
        pictures.picture("a.pdf", 2, "a.pdf-0", 300)
        assert len(painter.orders) == 4

    def test_keeps_no_more_bytes_than_told(self, shelf):
        painter = Counted()
        pictures = PagePictures(shelf.pages, painter, cache_bytes=250)
        for width in (300, 400, 500, 500, 400, 300):
            pictures.picture("a.pdf", 1, width=width)
        assert len(painter.orders) == 4
        nothing = PagePictures(shelf.pages, painter, cache_bytes=50)
        assert nothing.picture("a.pdf", 1) == nothing.picture("a.pdf", 1)

    def test_follows_the_file(self, shelf):
        painter = Counted()
        pictures = PagePictures(shelf.pages, painter)
        pictures.picture("a.pdf", 1)
        shelf.put("a.pdf", "another page")
        pictures.picture("a.pdf", 1)
        assert len(painter.orders) == 2


class TestForgetting:
    def test_holds_for_what_was_drawn_before(self, shelf):
        shelf.put("b.pdf", "kept")
        pictures = PagePictures(shelf.pages, Counted())
        pictures.picture("a.pdf", 1)
        shelf.pages.tombstones.add(["a.pdf"])
        with pytest.raises(NotFoundError, match="no document 'a.pdf'"):
            pictures.picture("a.pdf", 1)
        assert pictures.picture("b.pdf", 1)
        assert all("a.pdf" not in key for key in pictures._drawn)

    def test_holds_for_what_is_drawn_just_now(self, shelf):
        pictures = PagePictures(shelf.pages, Counted(lambda: shelf.pages.tombstones.add(["a.pdf"])))
        with pytest.raises(NotFoundError):
            pictures.picture("a.pdf", 1)
        assert len(pictures._drawn) == 0

    def test_says_nothing_that_it_does_not_say_of_unknown_documents(self, shelf, pictures):
        shelf.pages.tombstones.add(["a.pdf"])
        said = []
        for doc_id in ("a.pdf", "x.pdf"):
            with pytest.raises(NotFoundError) as caught:
                pictures.picture(doc_id, 1)
            said.append(str(caught.value).replace(doc_id, ""))
        assert said[0] == said[1]


class TestThePainter:
    def test_goes_on_after_a_file_that_cannot_be_drawn(self, shelf, pictures):
        shelf.put("torn.pdf", "x", content=b"%PDF-1.7 torn")
        for _ in range(2):
            with pytest.raises(PictureError, match="Page 1 cannot be drawn: .*damaged"):
                pictures.picture("torn.pdf", 1)
        assert pictures.picture("a.pdf", 1, width=250)

    def test_ends_what_hangs_and_replaces_it(self, shelf, monkeypatch):
        made = Painter((), Limits(seconds=0.0))
        pictures = PagePictures(shelf.pages, made)
        with pytest.raises(PictureDelayedError, match="not done within 0 s"):
            pictures.picture("a.pdf", 1)
        assert len(made._idle) == 1 and made._idle[0].is_fit
        made.close()

    def test_replaces_a_process_that_died_while_it_waited(self, shelf, painter):
        PagePictures(shelf.pages, painter).picture("a.pdf", 1, width=260)
        [idle] = painter._idle
        idle._process.kill()
        idle._process.wait()
        assert PagePictures(shelf.pages, painter).picture("a.pdf", 1, width=270)

    def test_serves_many_threads_with_few_processes(self, shelf, painter, monkeypatch):
        started = []
        real = painters.WorkerProcess
        monkeypatch.setattr(
            painters, "WorkerProcess", lambda order: started.append(1) or real(order)
        )
        pictures = PagePictures(shelf.pages, painter)
        found = []
        threads = [
            threading.Thread(
                target=lambda w=width: found.append(pictures.picture("a.pdf", 1, None, w))
            )
            for width in range(201, 213)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        widths = {Image.open(io.BytesIO(each)).width for each in found}
        assert widths == set(range(201, 213)) and len(started) <= 1

    def test_leaves_no_process_behind(self, shelf):
        made = Painter()
        made.warm()
        made.warm()
        [process] = made._idle
        made.close()
        made.warm()
        assert process._process.poll() is not None and made._idle == []
