"""Opens a mix with the readers of trainers and prints what they give as JSON; run by test_readers
with the environment that `make readers` makes.

Arguments: the published version's folder, the mix's folder, tokens of a sequence, EOS, PAD, size of
the vocabulary, and a folder of packages that this project itself needs.
"""

import json
import sys
from pathlib import Path
from typing import Any


def by_megatron(base: Path) -> list[list[int]]:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    found = []
    for path in sorted(base.glob("megatron/*/*.idx")):
        dataset = IndexedDataset(str(path.with_suffix("")))
        assert dataset.document_indices.tolist() == list(range(len(dataset) + 1))
        found += [dataset[number].tolist() for number in range(len(dataset))]
    return found


def by_streaming(base: Path) -> list[list[Any]]:
    from streaming import StreamingDataset

    found = []
    for folder in sorted(base.glob("mds/*")):
        dataset = StreamingDataset(local=str(folder), shuffle=False, batch_size=1)
        found += [[one["id"], one["tokens"].tolist()] for one in dataset]
    return found


def by_olmo_core(base: Path) -> list[list[int]]:
    import numpy as np
    from olmo_core.data.utils import iter_document_indices, load_array_slice

    found = []
    for path in sorted(base.glob("tokens/*/*.npy")):
        bounds = list(iter_document_indices(path))
        seen = iter_document_indices(
            path, use_array_if_local=True, eos_token_id=int(sys.argv[4]), dtype=np.uint32
        )
        assert list(seen) == bounds  # what stands beside the tokens is what they say
        found += [load_array_slice(path, *one, np.uint32).tolist() for one in bounds]
    return found


def sequences_by_olmo_core(base: Path, length: int) -> list[list[int]]:
    import numpy as np
    from olmo_core.data.numpy_dataset import NumpyFSLDataset

    paths = sorted(base.glob("sequences/*/*.npy"))
    dataset = NumpyFSLDataset(
        *paths, sequence_length=length, pad_token_id=int(sys.argv[5]),
        eos_token_id=int(sys.argv[4]), vocab_size=int(sys.argv[6]), dtype=np.uint32,
    )  # fmt: skip
    return [dataset[number]["input_ids"].tolist() for number in range(len(dataset))]


def by_torch(mix: str) -> list[list[Any]]:
    """Our own reader in the worker processes of torch's loader."""
    from torch.utils.data import DataLoader

    sys.path.append(sys.argv[7])
    from mixes.reader import MixReader
    from mixes.torch_reader import TorchMix

    def plain(batch: list[Any]) -> list[Any]:
        return [[one.id, one.tokens.tolist()] for one in batch]

    found = []
    for rank in range(2):
        stream = TorchMix(MixReader(mix, rank=rank, world_size=2, shuffle=True))
        loader = DataLoader(stream, batch_size=2, num_workers=2, collate_fn=plain)
        found += [one for batch in loader for one in batch]
    # Without workers the loader's place is the reader's.
    stream = TorchMix(MixReader(mix))
    whole = [one for batch in DataLoader(stream, batch_size=2, collate_fn=plain) for one in batch]
    stream = TorchMix(MixReader(mix))
    stream.load_state_dict({**stream.state_dict(), "position": 3})
    loader = DataLoader(stream, batch_size=2, collate_fn=plain)
    assert [one for batch in loader for one in batch] == whole[3:]
    return found


def main() -> None:
    base, length = Path(sys.argv[1]), int(sys.argv[3])
    answer = {
        "megatron": by_megatron(base),
        "streaming": by_streaming(base),
        "olmo_core": by_olmo_core(base),
        "sequences": sequences_by_olmo_core(base, length),
        "torch": by_torch(sys.argv[2]),
    }
    print("ANSWER" + json.dumps(answer))


if __name__ == "__main__":
    main()
