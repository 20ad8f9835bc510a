"""A pause that a command carries with it into its process."""

import re
from dataclasses import dataclass
from pathlib import Path

from embedding_assets_tests.integration.faults import until


@dataclass(frozen=True)
class Drawn:
    """Waits when the rows of such a partition are drawn and nobody sees them yet, until `until`
    exists; says so in `drawn`."""

    words: str
    drawn: Path
    until: Path

    def __call__(self) -> None:
        from embedding_assets.storage.parquet import ParquetTable

        fill = ParquetTable._fill

        def waiting(table, staged, part):
            footer = fill(table, staged, part)
            if re.search(self.words, f"{table.name} {part.key}") and not self.drawn.exists():
                self.drawn.touch()
                until(self.until.exists)
            return footer

        ParquetTable._fill = waiting
