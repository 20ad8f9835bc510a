"""The gates: the challenger judged against the champion on what is stored of both."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from embedding_assets.errors import EmbeddingAssetsError, NotFoundError
from embedding_assets.experiments.plan import CHALLENGER, Experiment
from embedding_assets.forget.used import chunk_texts
from embedding_assets.quality import gates
from embedding_assets.quality.collections import Collection, load_collection
from embedding_assets.quality.encoded import encoded
from embedding_assets.quality.evaluation import judged_queries
from embedding_assets.quality.gates import Gate, Limits, Soundness
from embedding_assets.quality.overlap import neighbour_overlap
from embedding_assets.quality.pairs import Pairs, account_pairs, document_pairs, sampled
from embedding_assets.quality.self_retrieval import self_retrieval
from embedding_assets.release.basis import JUDGED_TABLES, basis_of
from embedding_assets.release.gate_table import Judgement
from embedding_assets.release.stage import require_models_experiment, required
from embedding_assets.storage.duck import query_engine

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

_MADE_OF = {"doc_vectors": "documents", "account_embeddings": "account_texts"}
_TEXTS = 1_000
_BATCH_ROWS = 16_384


def judge(
    champion: "Workspace", challenger: "Workspace", due: Mapping[str, set[str | None]]
) -> Judgement:
    """Judge the challenger by all gates; nothing is changed but vectors that were computed for it.

    due: what the champion had before the challenger was brought up to date; whatever others write
    meanwhile is computed by the next run.
    Raises CollectionError for labelled queries that cannot be read.
    """
    basis = basis_of(champion, challenger)  # what comes while it judges was not judged
    found = tuple(_Judge(champion, challenger, due).all())
    models = challenger.fingerprint, champion.fingerprint
    return Judgement(found, *models, datetime.now(UTC), basis)


def slices_of(champion: "Workspace") -> dict[str, set[str | None]]:
    """What a challenger must have: the champion's slices by table, but those whose source is gone;
    None for a table of one slice."""
    found: dict[str, set[str | None]] = {}
    for name in JUDGED_TABLES:
        table = champion.table(name)
        keys = {*table.keys()}
        if keys and name in _MADE_OF:
            keys &= {*champion.table(_MADE_OF[name]).keys()}
        found[name] = {*keys} if keys or table.footer() is None else {None}
    return found


def structural(
    champion: "Workspace", challenger: "Workspace", due: Mapping[str, set[str | None]]
) -> list[Gate]:
    """The gates that cost next to nothing and must hold of the very state that is promoted. due: as
    for `judge`."""
    judged = _Judge(champion, challenger, due)
    return [judged.completeness(), *judged.soundness(), judged.ann_recall()]


class _Judge:
    """One judgement under way."""

    def __init__(
        self, champion: "Workspace", challenger: "Workspace", due: Mapping[str, set[str | None]]
    ) -> None:
        self.champion = champion
        self.challenger = challenger
        self.due = due
        release = challenger.settings.release
        self.limits = Limits(release.margin, release.recall, release.overlap, release.duplicates)

    def all(self) -> Iterator[Gate]:
        yield self.completeness()
        yield from self.soundness()
        yield from self.texts()
        yield self.ann_recall()
        yield from self.retrieval()
        yield self.self_retrieval("document_self_retrieval", self.passages(), "passages")
        yield self.self_retrieval("account_self_retrieval", self.histories(), "accounts")
        yield self.experiment()

    def completeness(self) -> Gate:
        lacking, slices = {}, 0
        for name, keys in slices_of(self.champion).items():
            own = self.challenger.table(name)
            held = {*own.keys(), *([] if own.footer() is None else [None])}
            slices += len(keys)
            lacking[name] = len((keys & self.due[name]) - held)
        index, own_index = (each.library.served_version() for each in self._both)
        lacking["document_index"] = int(index is not None and own_index is None)
        if not slices:
            return gates.missing("completeness", "nothing is stored to compare the models on")
        return gates.complete(lacking, slices)

    def soundness(self) -> Iterator[Gate]:
        sound = Soundness(self.challenger.model.window)
        for name in JUDGED_TABLES:
            table = self.challenger.table(name)
            keys: Sequence[str | None] = table.keys() or ([None] if table.footer() else [])
            for key in keys:
                columns = ["embedding", "tokens", "windows"]
                for batch in table.batches(None if key is None else [key], _BATCH_ROWS, columns):
                    sound.add(batch)
        if not sound.rows:
            yield gates.missing("norms", "no vector is stored")
            yield gates.missing("truncation", "no vector is stored")
            return
        yield sound.norms()
        yield sound.truncation()

    def texts(self) -> Iterator[Gate]:
        """The gates over a sample of the champion's texts."""
        texts = sorted({*self._sampled_texts()})
        if len(texts) < 2:
            yield gates.not_applicable("duplicates", "there are fewer than two texts")
            yield gates.not_applicable("neighbour_overlap", "there are fewer than two texts")
            return
        own, theirs = (
            encoded(texts, each.encoder, each.vectors) for each in (self.challenger, self.champion)
        )
        yield gates.duplicates(own, theirs, self.limits.duplicates)
        yield gates.overlap(neighbour_overlap(own, theirs), len(texts), self.limits.overlap)

    def ann_recall(self) -> Gate:
        try:
            library = self.challenger.library
            manifest = library.manifest_of(library.snapshots.current())
        except NotFoundError:
            if self.champion.library.served_version() is None:
                return gates.not_applicable("ann_recall", "no documents are indexed")
            return gates.missing("ann_recall", "the challenger has no index of documents")
        return gates.index_recall(manifest.recall_at_10, manifest.method, self.limits.recall)

    def retrieval(self) -> Iterator[Gate]:
        """By labelled queries where there are any; the halves of passages stand in for them."""
        folder = self.challenger.settings.search.evaluation
        if not folder:
            why = "search.evaluation names no labelled queries; the halves of passages are judged"
            yield gates.not_applicable("retrieval", why)
            yield gates.not_applicable("retrieval_hybrid", why)
            return
        collection = load_collection(self.challenger.evaluation_folder)
        own, theirs = (self._judged(collection, each) for each in (self.challenger, self.champion))
        for name, mode in (("retrieval", "semantic"), ("retrieval_hybrid", "hybrid")):
            what = f"nDCG@10 of {mode} search"
            yield gates.not_worse(name, own[mode], theirs[mode], what, self.limits.margin)

    def self_retrieval(self, name: str, pairs: Pairs, what: str) -> Gate:
        if len(pairs) < 2:
            return gates.not_applicable(name, f"there are fewer than two {what} to halve")
        own, theirs = (
            self_retrieval(pairs, each.encoder, each.vectors).reciprocal_ranks
            for each in (self.challenger, self.champion)
        )
        words = f"MRR of the halves of {what}"
        return gates.not_worse(name, own, theirs, words, self.limits.margin)

    def passages(self) -> Pairs:
        return document_pairs(self._chunks("text"))

    def histories(self) -> Pairs:
        cleaned = self.champion.table("cleaned_records")
        keys = [key for key, footer in cleaned.footers(cleaned.keys()).items() if footer.rows]
        if not keys:
            return Pairs((), ())
        settings = self.champion.settings
        with query_engine(settings.storage.query_memory_mb) as connection:
            connection.register("records", cleaned.dataset(keys))
            return account_pairs(connection, history_days=settings.records.history_days)

    def experiment(self) -> Gate:
        tried = required(self.champion.seats)
        asked = tried.experiment
        if asked is None:
            return gates.not_applicable("experiment", "no experiment was asked for")
        try:
            found = self.champion.experiments.find(asked)
            require_models_experiment(found)
        except EmbeddingAssetsError as error:
            return gates.missing("experiment", error.problem)
        ready, since = tried.first or tried.staged, self.champion.seats.since
        if ready is None or not _began_after(found, ready):
            why = f"{asked} did not begin after the challenger was complete ({ready})"
            return gates.missing("experiment", why)
        if since and not _began_after(found, since):
            why = f"{asked} began before {since}, when another model served"
            return gates.missing("experiment", why)
        decision = found.decision
        if decision is None:
            return gates.missing("experiment", f"{asked} is {found.state} and not decided")
        setting = {each.name: each.setting for each in found.plan.variants}[decision.chosen]
        no_loss = setting == CHALLENGER or decision.outcome == "no_difference"
        words = (
            f"{asked} chose {decision.chosen} ({decision.outcome}): {' '.join(decision.reasons)}"
        )
        return Gate("experiment", "passed" if no_loss else "failed", words)

    @property
    def _both(self) -> "tuple[Workspace, Workspace]":
        return self.champion, self.challenger

    def _judged(self, collection: Collection, workspace: "Workspace") -> dict[str, Any]:
        return judged_queries(collection, workspace.encoder, workspace.vectors)

    def _sampled_texts(self) -> list[str]:
        """Texts of each kind; always the same ones, whatever their order."""
        return [
            *sampled(self._chunks(None), _TEXTS),
            *sampled(self._column("latest_account_embeddings", "text_for_embedding"), _TEXTS),
            *sampled(self._column("item_embeddings", "item_description"), _TEXTS),
        ]

    def _chunks(self, column: str | None) -> Iterator[str]:
        """The passages of the champion: one column, or what is embedded of them."""
        chunks = self.champion.table("doc_chunks")
        for key in chunks.keys():
            for batch in chunks.batches([key], _BATCH_ROWS):
                yield from batch[column].to_pylist() if column else chunk_texts(batch)

    def _column(self, asset: str, column: str) -> Iterator[str]:
        table = self.champion.table(asset)
        if table.footer() is not None:
            for batch in table.batches(None, _BATCH_ROWS, [column]):
                yield from batch[column].to_pylist()


def _began_after(experiment: Experiment, moment: str) -> bool:
    started = experiment.started
    return started is not None and started >= datetime.fromisoformat(moment)
