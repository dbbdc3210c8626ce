"""The command `vineleaf` with tasks of some kilobytes, so that tiny sources make several shards.

`python small_tasks.py run ...` is `vineleaf run ...` in all else: the cut of input files into tasks
is 4 to 64 MB in the package, which no fixture reaches.
"""

import inspect

from pipelines.cli import main
from transforms.ingest import reader

TASK_BYTES = 4 << 10  # of input files in one task


def cut_small() -> None:
    """Let every reader cut its input files into tasks of `TASK_BYTES`."""
    assert list(inspect.signature(reader.group_by_size).parameters)[1:] == [
        "most_bytes",
        "least_bytes",
    ]
    reader.group_by_size.__defaults__ = (TASK_BYTES, TASK_BYTES)


if __name__ == "__main__":
    cut_small()
    main()
