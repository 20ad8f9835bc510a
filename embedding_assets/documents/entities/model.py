"""A trained model of entities: a folder of safetensors and JSON, and what it finds in texts."""

import hashlib
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedding_assets.documents.entities.agreement import agreed
from embedding_assets.documents.entities.batches import (
    Sentence,
    SentenceReader,
    batch_of,
    by_length,
)
from embedding_assets.documents.entities.decode import (
    best_paths,
    probabilities,
    scored_spans,
    transitions,
)
from embedding_assets.documents.entities.labelled import Span
from embedding_assets.documents.entities.network import Shape, build_network
from embedding_assets.documents.entities.words import find_sentences, find_words
from embedding_assets.embedding.workers import single_thread_workers
from embedding_assets.errors import ModelDamagedError
from embedding_assets.storage.folders import published_folder

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import nn

FORMAT = "entity model 2"
_FILES = ("model.safetensors", "tokenizer.json")
_PIECES_AT_ONCE = 2_048
_MOST_PIECES = 256
_SENTENCES_AT_ONCE = 4_096
_AGAIN = "Materialize entity_model to train it again, or restore the folder."


@dataclass(frozen=True)
class Found:
    """An entity in a text: its characters, its label, and how sure the model is of its least
    certain word."""

    start: int
    end: int
    label: str
    score: float


class EntityModel:
    """Finds entities; safe to use from several threads.

    labels: of words, `O` first, then `B-` and `I-` of each type.
    about: what is kept beside the weights: types, training, scores.
    """

    def __init__(
        self,
        network: "nn.Module",
        tokenizer: "Tokenizer",
        shape: Shape,
        labels: Sequence[str],
        about: Mapping[str, Any],
        threads: int | None = None,
    ) -> None:
        self.network = network.eval()
        self.labels = tuple(labels)
        self.about = dict(about)
        self.shape = shape
        self._tokenizer = tokenizer
        self._reader = SentenceReader(tokenizer, min(_MOST_PIECES, shape.positions))
        self._moves = transitions(labels, network.get_buffer("moves").numpy())
        self._threads = threads

    @property
    def types(self) -> tuple[str, ...]:
        """What it tells apart."""
        return tuple(label[2:] for label in self.labels if label.startswith("B-"))

    def tag(
        self, sentences: Sequence[Sequence[str]], documents: Sequence[Hashable] | None = None
    ) -> list[list[tuple[Span, float]]]:
        """For each sentence, given as words, its spans of words, and how sure each is.

        documents: for each sentence which one it is of; a name has one label all over a document.
        Without, each sentence stands alone.
        """
        found: list[list[tuple[Span, float]]] = []
        for start in range(0, len(sentences), _SENTENCES_AT_ONCE):
            found += self._tag(sentences[start : start + _SENTENCES_AT_ONCE])
        return found if documents is None else list(agreed(sentences, found, documents))

    def find(
        self, texts: Sequence[str], documents: Sequence[Hashable] | None = None
    ) -> list[list[Found]]:
        """For each text its entities, ascending and apart.

        documents: for each text which one it is of; each is one of its own by default.
        """
        places = [
            (number, find_words(text, start, end))
            for number, text in enumerate(texts)
            for start, end in find_sentences(text)
        ]
        places = [(number, words) for number, words in places if words]
        sentences = [[texts[number][start:end] for start, end in words] for number, words in places]
        found: list[list[Found]] = [[] for _ in texts]
        of = [number if documents is None else documents[number] for number, _ in places]
        for (number, words), spans in zip(places, self.tag(sentences, of), strict=True):
            found[number] += [
                Found(words[span.start][0], words[span.end - 1][1], span.label, score)
                for span, score in spans
            ]
        return found

    def save(self, folder: Path) -> None:
        """Publish the model as a folder, whole or not at all. Raises OutputError subclasses."""
        from safetensors.torch import save_file

        with published_folder(folder) as staged:
            weights = {name: each.contiguous() for name, each in self.network.state_dict().items()}
            save_file(weights, str(staged / _FILES[0]))
            self._tokenizer.save(str(staged / _FILES[1]))
            about = {
                **self.about,
                "format": FORMAT,
                "labels": list(self.labels),
                "shape": self.shape.to_dict(),
                "sha256": {name: _sha256(staged / name) for name in _FILES},
            }
            text = json.dumps(about, indent=1, allow_nan=False)
            (staged / "model.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, threads: int | None = None) -> "EntityModel":
        """The model in a folder.

        threads: that it tags with; one per usable core by default.
        Raises ModelDamagedError when a file is missing, torn, or another model's.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        about = read_about(folder)
        try:
            shape = Shape(**about["shape"])
            network = build_network(shape)
            network.load_state_dict(load_file(str(folder / _FILES[0])))
            tokenizer = Tokenizer.from_file(str(folder / _FILES[1]))
        except (
            OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError,
        ) as error:  # fmt: skip
            raise _damaged(folder, error) from error
        return cls(network, tokenizer, shape, about["labels"], about, threads)

    @cached_property
    def _workers(self) -> ThreadPoolExecutor:
        return single_thread_workers(self._threads)

    def _tag(self, sentences: Sequence[Sequence[str]]) -> list[list[tuple[Span, float]]]:
        parts = self._reader.read(sentences)
        flat = [part for some in parts for part in some]
        spans: list[list[tuple[Span, float]]] = [[] for _ in flat]

        def fill(places: list[int]) -> None:
            answers = self._spans([flat[place] for place in places])
            for place, found in zip(places, answers, strict=True):
                spans[place] = found

        list(self._workers.map(fill, by_length(flat, _PIECES_AT_ONCE)))
        return list(_joined(parts, spans))

    def _spans(self, sentences: list[Sentence]) -> list[list[tuple[Span, float]]]:
        import torch

        batch = batch_of(sentences)
        with torch.inference_mode(), autocast():
            scores = self.network(batch).numpy()
        paths = best_paths(scores, batch.words.numpy(), self._moves)
        likely = probabilities(scores)
        return [
            scored_spans(path[: len(each)], sure[: len(each)], self.labels)
            for each, path, sure in zip(sentences, paths, likely, strict=True)
        ]


def read_about(folder: Path) -> dict[str, Any]:
    """What is told of the model in a folder.

    Raises ModelDamagedError when a file is missing, torn, or another model's.
    """
    try:
        about: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']!r}, not {FORMAT!r}")
        for name in _FILES:
            if _sha256(folder / name) != about["sha256"][name]:
                raise ValueError(f"{name} is not what was written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    return about


def _damaged(folder: Path, error: Exception) -> ModelDamagedError:
    return ModelDamagedError(f"The entity model in {folder} cannot be read: {error}.", _AGAIN)


def _joined(
    parts: list[list[Sentence]], spans: list[list[tuple[Span, float]]]
) -> Iterator[list[tuple[Span, float]]]:
    """The spans of sentences that may have been read in parts."""
    answers = iter(spans)
    for some in parts:
        found: list[tuple[Span, float]] = []
        before = 0
        for part in some:
            found += [
                (Span(span.start + before, span.end + before, span.label), score)
                for span, score in next(answers)
            ]
            before += len(part)
        yield found


def autocast() -> Any:
    """Matrix products in bfloat16 where the processor has them; all else, and all that is kept,
    in float32."""
    import torch

    is_quick = torch._C._has_mkldnn and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(is_quick))


def model_digest(folder: Path) -> str:
    """SHA-256 (hex) over the files of a saved model."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name}\0{_sha256(path)}\n".encode())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
