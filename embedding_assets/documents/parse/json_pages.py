"""The pages that the blocks of a JSON document stand on."""

from collections import Counter
from collections.abc import Iterable, Mapping

from embedding_assets.documents.document import Block, Page

Sizes = Mapping[int, tuple[float, float]]
"""Width and height of pages by their numbers, in points."""


def pages_of(
    blocks: Iterable[Block], sizes: Sizes, pictured: Iterable[int] = ()
) -> tuple[Page, ...]:
    """The pages that have a size or a block, ascending.

    pictured: the pages that a picture covers in good part. A block on several pages counts on
    each.
    """
    characters: Counter[int] = Counter()
    for block in blocks:
        for page in block.pages:
            characters[page] += len(block.text)
    covered = set(pictured)
    numbers = sorted(characters.keys() | sizes.keys() | covered)
    return tuple(_page(it, sizes.get(it), characters[it], it in covered) for it in numbers)


def _page(number: int, size: tuple[float, float] | None, characters: int, has_image: bool) -> Page:
    width, height = size or (None, None)
    return Page(number, width, height, characters, has_image)
