"""Place: which partition of which topic in which run, and the names of its objects."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import FieldtapError
from pipeline.store import StoreError, checked

MOST = (1 << 63) - 1
"""Largest offset."""


class LedgerError(FieldtapError):
    """A ledger that cannot be written or read as it stands."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A partition as the ledger knows it.

    Attributes:
        run: name of the run; another run judges the same log anew.
        topic_id: Kafka's id of the topic, which a topic made anew under the same name does not share.
        partition: its number.
    """

    run: str
    topic_id: str
    partition: int

    def __post_init__(self) -> None:
        for what, value in (("run", self.run), ("topic id", self.topic_id)):
            try:
                checked(value)
            except StoreError as error:
                raise LedgerError(f"{what} {value!r:.100}: letters, digits and ._=+- only") from error
            if "/" in value or "+" in value:
                raise LedgerError(f"{what} {value!r:.100}: must not contain / or +")
        if not 0 <= self.partition < 100_000:
            raise LedgerError(f"partition {self.partition}: expected 0 to 99999")

    def __str__(self) -> str:
        return f"run {self.run}, topic {self.topic_id}, partition {self.partition}"

    @property
    def origin(self) -> str:
        """The object that says where the chain starts."""
        return f"origin/{self.run}/{self.topic_id}/{self.partition:05d}"

    @property
    def epochs(self) -> str:
        """The folder of the chain."""
        return f"epochs/{self.run}/{self.topic_id}/{self.partition:05d}"

    def epoch(self, start: int) -> str:
        """The epoch that starts at offset `start`."""
        return f"{self.epochs}/{start:020d}"

    def stem(self, start: int, stop: int) -> str:
        """File name of what was found in offsets [start, stop), without its ending.

        The leading word keeps it from beginning with an underscore, which many readers of Parquet take for hidden.
        """
        return f"part+{self.topic_id}+{self.partition:05d}+{start:020d}-{stop:020d}"
