"""A mix as torch's loader wants it: `DataLoader(TorchMix(MixReader(...)), num_workers=4)`.

Each worker process of the loader reads a part of the rank's items of its own. Items are what the
reader gives: a `collate_fn` makes tensors of them. With torchdata's `StatefulDataLoader`, or
without workers, its state is the reader's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from mixes.reader import MixReader

__all__ = ["TorchMix"]


class TorchMix(IterableDataset):  # type: ignore[misc,type-arg]
    """An iterable dataset over what a reader gives."""

    def __init__(self, reader: MixReader) -> None:
        self._whole = reader
        self._its: MixReader | None = None  # of this worker, once it is asked for

    def _reader(self) -> MixReader:
        if self._its is None:
            info = get_worker_info()
            self._its = (
                self._whole if info is None else self._whole.split(info.id, info.num_workers)
            )
        return self._its

    def __iter__(self) -> Iterator[Any]:
        return iter(self._reader())

    def set_epoch(self, epoch: int) -> None:
        """Begin another epoch. A loader whose workers do not persist starts them anew each time, in
        the epoch that stands here: name it before each pass, or they give the same order again."""
        self._whole.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        return self._reader().state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._reader().load_state_dict(state)
