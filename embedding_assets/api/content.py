"""Pages, accounts and maps as the routes serve them: opened when first used."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread

from embedding_assets.api.health import Part, Parts
from embedding_assets.api.lazy import Followed, Lazy
from embedding_assets.api.map_sources import map_sources
from embedding_assets.documents.painter import Painter
from embedding_assets.documents.picture import PagePictures, StoredPages
from embedding_assets.documents.slices import chunk_digest
from embedding_assets.quality.maps import Maps
from embedding_assets.records.forgotten import forgotten_ids
from embedding_assets.search.accounts import AccountSearch

if TYPE_CHECKING:
    from embedding_assets.apps.service import SimilarityService
    from embedding_assets.search.documents import DocumentSearch
    from embedding_assets.workspace import Workspace

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", Painter, Maps)

_PAINTERS = 2


class Content:
    """What some routes answer from.

    accounts(): accounts like another one. pages(): pictures of pages. maps(): embeddings on a
    plane. Each blocks when first called, so call them in a thread.
    """

    def __init__(
        self,
        workspace: "Callable[[], Workspace]",
        documents: "Callable[[], DocumentSearch]",
        apps: "Callable[[], SimilarityService]",
    ) -> None:
        self._workspace = workspace
        self.accounts: Lazy[AccountSearch] = Lazy(lambda: _accounts(workspace))
        self.painter: Lazy[Painter] = Lazy(lambda: self._kept(_painter(workspace())))
        self.pages: Followed[PagePictures] = Followed(
            lambda: workspace().seat, lambda: _pages(workspace(), self.painter())
        )
        self.maps: Lazy[Maps] = Lazy(
            lambda: self._kept(
                Maps(map_sources(lambda: apps().index, documents(), self.accounts()))
            )
        )
        self._open: list[Painter | Maps] = []
        self._is_closed = False
        self._closing = threading.Lock()
        self._drawing = CapacityLimiter(_PAINTERS)

    def add_parts(self, parts: Parts) -> None:
        """Let health speak of these, and let them be opened at the start."""
        parts.add(Part("accounts", self._look_at_accounts, self._look_at_accounts))
        parts.add(Part("pages", self._look_at_pages, self._warm_pages))
        parts.add(Part("maps", self._look_at_maps, self._warm_maps))

    async def draw(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns, computed in one of the threads that wait for pictures: a slow
        file holds up no search."""
        work = partial(function, *args, **kwargs)
        return await to_thread.run_sync(work, limiter=self._drawing, abandon_on_cancel=True)

    def close(self) -> None:
        """End the processes that draw pages and lay out maps; none is started any more."""
        with self._closing:
            self._is_closed = True
        for each in self._open:
            each.close()

    def _kept(self, opened: C) -> C:
        """What is to be closed at the end; it may have come while it was opened."""
        with self._closing:
            if not self._is_closed:
                self._open.append(opened)
                return opened
        opened.close()
        return opened

    def _look_at_accounts(self) -> Mapping[str, Any]:
        search = self.accounts()
        accounts = search.accounts()
        if search.trouble is not None:
            raise search.trouble
        return {"accounts": int(search.allowed(accounts).sum())}

    def _look_at_pages(self) -> Mapping[str, Any]:
        return {"watched": self._workspace().library.folder.is_dir()}

    def _warm_pages(self) -> None:
        """Nobody asks for pages where no document was ever read."""
        if self._workspace().library.table("documents").folder.exists():
            self.pages()
            self.painter().warm()

    def _look_at_maps(self) -> Mapping[str, Any]:
        return {"maps": self.maps().names}

    def _warm_maps(self) -> None:
        self.maps().available()


def _accounts(workspace: "Callable[[], Workspace]") -> AccountSearch:
    return AccountSearch(
        lambda: workspace().table("latest_account_embeddings"),
        workspace().accounts.tombstones,
        lambda ids: forgotten_ids(ids, workspace().accounts.days.forgotten()),
    )


def _painter(workspace: "Workspace") -> Painter:
    return Painter(workspace.library.rules.passwords, processes=_PAINTERS)


def _pages(workspace: "Workspace", painter: Painter) -> PagePictures:
    library = workspace.library
    stored = StoredPages(
        folder=library.folder,
        documents=library.table("documents"),
        chunks=library.table("doc_chunks"),
        tombstones=library.snapshots.tombstones,
        chunks_digest=lambda own: chunk_digest(own, library.chunk_limits, library.tokenizer),
    )
    return PagePictures(stored, painter)
