"""Publishing an epoch of the archive: its object says which offsets, the log and the stage say what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pipeline.archive import root_of
from pipeline.archive.names import NameFiles
from pipeline.archive.part import Files
from pipeline.archive.stage import ArchiveStage
from pipeline.ledger import Chain, Epoch
from pipeline.owner import Message
from pipeline.store import Store


class ArchivePublisher:
    """Writes the files of landed epochs, each created once.

    The rows of an epoch follow from its offsets and the state before it.  A stage that froze the epoch hands over its
    files; whoever takes over from another reads the log again.
    """

    def __init__(
        self,
        store: Store,
        stage: ArchiveStage,
        read: Callable[[int, int], Iterable[Message]],
        chain: Chain,
        names: NameFiles,
    ) -> None:
        """A publisher for one partition.

        Args:
            read: messages of the log between two offsets.
            chain: of the partition; it holds the state before an epoch.
            names: those of all partitions.
        """
        self._store = store
        self._root = root_of(chain.place.run)
        self._stage = stage
        self._read = read
        self._chain = chain
        self._names = names

    def publish(self, epoch: Epoch) -> None:
        """Create the files of `epoch`; those that stand already are the same."""
        files = self._stage.files(epoch.start) or self._again(epoch)
        for dataset, content in files.content.items():
            name = f"{epoch.place.stem(epoch.start, epoch.next)}.parquet"
            self._store.create(f"{self._root}/{dataset}/date={files.day}/{name}", content)
        self._names.keep()

    def _again(self, epoch: Epoch) -> Files:
        stage = ArchiveStage(epoch.place.partition)
        earlier = [start for start, _ in self._chain.starts() if start < epoch.start]
        stage.restore(self._chain.verified(earlier[-1]).state if earlier else None)
        stage.take(list(self._read(epoch.start, epoch.next)))
        stage.freeze()
        return stage.parts[0][1]
