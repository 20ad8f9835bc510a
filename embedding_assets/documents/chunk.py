"""A document as chunks: passages that fit the model, each with its headings, pages and boxes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedding_assets.documents.document import Block, Box, Document, Kind
from embedding_assets.documents.pack import Packer, shown
from embedding_assets.documents.passages import Passage, read_passages, text_for_embedding
from embedding_assets.documents.sections import read_sections
from embedding_assets.documents.split import TokenCounter
from embedding_assets.storage.slices import digest_of

if TYPE_CHECKING:
    from embedding_assets.embedding.model import ModelFiles

CHUNK_CODE = "1"
"""Changes whenever the same document would become other chunks."""

_ID_DIGITS = 32
_LEAST_TOKENS = 16


@dataclass(frozen=True)
class ChunkLimits:
    """How large a chunk may be.

    max_tokens: of the text that is embedded, headings counted; at most the model's window, or it
        is embedded in several windows.
    overlap: tokens of the chunk before that a chunk repeats at most, in whole sentences where
        they fit; never across a heading, never of tables.
    """

    max_tokens: int = 254
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.max_tokens < _LEAST_TOKENS:
            raise ValueError(f"max_tokens {self.max_tokens} is less than {_LEAST_TOKENS}")
        if not 0 <= self.overlap <= self.max_tokens // 4:
            raise ValueError(
                f"overlap {self.overlap} is not between 0 and a quarter of "
                f"max_tokens {self.max_tokens}"
            )


@dataclass(frozen=True)
class Chunk:
    """A passage of a document.

    chunk_id: a hash of document, headings and text; of equal passages, with their number.
    position: its place among the chunks of the document, from 0.
    heading_path: the headings that it stands under, the outermost first.
    kind: of its blocks, when they are of one kind; of a table with its caption, a table;
        a paragraph otherwise.
    pages, boxes: of the blocks that it has text of, all of theirs; pages ascending.
    tokens: of `text_for_embedding`.
    """

    chunk_id: str
    doc_id: str
    position: int
    text: str
    heading_path: tuple[str, ...]
    kind: Kind
    pages: tuple[int, ...]
    boxes: tuple[Box, ...]
    tokens: int

    @property
    def text_for_embedding(self) -> str:
        """The passage below its headings, which are often what names its subject."""
        return text_for_embedding(self.heading_path, self.text)


def token_counter(model: "ModelFiles") -> TokenCounter:
    """What counts tokens as the model does, without loading its weights."""
    from embedding_assets.embedding.windows import TextReader, read_tokenizer

    layout = model.layout
    reader = TextReader.of(read_tokenizer(layout.transformer), layout.window, layout.prompt)
    return lambda texts: np.array([len(ids) for ids in reader.read(texts)], dtype=np.int32)


def chunk_document(
    document: Document, doc_id: str, count: TokenCounter, limits: ChunkLimits
) -> list[Chunk]:
    """The chunks of one document: see `chunk_documents`."""
    return chunk_documents([(doc_id, document)], count, limits)[0]


def chunk_documents(
    documents: Sequence[tuple[str, Document]], count: TokenCounter, limits: ChunkLimits
) -> list[list[Chunk]]:
    """The chunks of each (doc_id, document), in reading order; every word of a document is in one,
    or in its headings.

    No chunk crosses a heading. Within a section small blocks are put together and long ones cut
    between sentences; the items of a list stay together where they fit; a table has chunks of its
    own, cut between rows with the header repeated. What changes in one section changes no chunk
    of another. Tokens are counted for all documents at once, which is several times quicker than
    one by one.
    """
    blocks = [
        [block for block in document.blocks if block.text.strip()] for _, document in documents
    ]
    prompt, *sizes = map(int, count(["", *(shown(block) for some in blocks for block in some)]))
    left, room = iter(sizes), limits.max_tokens - prompt
    sections = [
        read_sections([(block, next(left) - prompt) for block in some], room // 3)
        for some in blocks
    ]
    packer = Packer(lambda texts: count(texts) - prompt, limits.overlap)
    flat = [section for some in sections for section in some]
    passages = iter(read_passages(flat, packer, room))
    return [
        _numbered(doc_id, [passage for _ in some for passage in next(passages)], prompt)
        for (doc_id, _), some in zip(documents, sections, strict=True)
    ]


def _numbered(doc_id: str, passages: Sequence[Passage], prompt: int) -> list[Chunk]:
    """The chunks of a document's passages, with their ids."""
    seen: Counter[tuple[tuple[str, ...], str]] = Counter()
    chunks = []
    for position, passage in enumerate(passages):
        text = passage.text
        blocks = [piece.block for piece in passage.pieces]
        occurrence = seen[passage.path, text]
        seen[passage.path, text] += 1
        chunk = Chunk(
            chunk_id=digest_of(doc_id, passage.path, text, occurrence)[:_ID_DIGITS],
            doc_id=doc_id,
            position=position,
            text=text,
            heading_path=passage.path,
            kind=_kind(blocks),
            pages=tuple(sorted({page for block in blocks for page in block.pages})),
            boxes=tuple(dict.fromkeys(box for block in blocks for box in block.boxes)),
            tokens=passage.tokens + prompt,
        )
        chunks.append(chunk)
    return chunks


def _kind(blocks: Sequence[Block]) -> Kind:
    kinds = {block.kind for block in blocks}
    if Kind.TABLE in kinds:
        return Kind.TABLE
    return kinds.pop() if len(kinds) == 1 else Kind.PARAGRAPH
