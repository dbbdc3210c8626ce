"""Sets come out of their column as they went in, and take as few bytes as they must."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.dedup.stored_sets import ENCODINGS, SET_SCHEMA, pack_sets, unpack_sets
from transforms.kernels.shingles import Sets

NUMBERS = st.sets(st.one_of(st.integers(0, 9), st.integers(0, 2**64 - 1)), max_size=8)


def sets_of(members):
    values = np.array([v for one in members for v in sorted(one)], np.uint64)
    return Sets(values, np.cumsum([0, *map(len, members)]).astype(np.int64))


def as_lists(sets):
    return [sets.values[a:b].tolist() for a, b in zip(sets.bounds, sets.bounds[1:], strict=False)]


def stored(batch):
    """The column as a file gives it back."""
    file = io.BytesIO()
    with pq.ParquetWriter(
        file, SET_SCHEMA, compression="zstd", use_dictionary=False, column_encoding=ENCODINGS
    ) as writer:
        writer.write_batch(batch)
    return pq.read_table(file).combine_chunks().to_batches()[0], file.tell()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.none(), NUMBERS), min_size=1, max_size=8), st.data())
def test_round_trip(rows, data):
    marked = np.array([row is not None for row in rows])
    batch, _ = stored(pack_sets(sets_of([row for row in rows if row is not None]), marked))
    assert batch.column(0).is_valid().to_pylist() == marked.tolist()
    wanted = [sorted(row or ()) for row in rows]
    assert as_lists(unpack_sets(batch.column(0))) == wanted
    # Also of some rows alone, as a table gives those that are asked for.
    first = data.draw(st.integers(0, len(rows)))
    assert as_lists(unpack_sets(batch.column(0).slice(first))) == wanted[first:]
    chosen = [k for k in range(len(rows)) if data.draw(st.booleans())]
    taken = batch.column(0).take(pa.array(chosen, pa.int64()))
    assert as_lists(unpack_sets(taken)) == [wanted[k] for k in chosen]


def test_sets_of_a_batch_that_is_a_slice():
    whole = sets_of([{1}, {5, 9}, {2, 3}])
    part = Sets(whole.values, whole.bounds[1:])
    batch = pack_sets(part, np.array([True, True]))
    assert as_lists(unpack_sets(batch.column(0))) == [[5, 9], [2, 3]]


def test_numbers_of_40_bits_take_little_more_than_4_bytes():
    values = np.random.default_rng(1).integers(0, 1 << 40, (400, 500), dtype=np.uint64)
    values.sort(axis=1)
    sets = Sets(values.reshape(-1), np.arange(401, dtype=np.int64) * 500)
    _, size = stored(pack_sets(sets, np.ones(400, np.bool_)))
    assert size / values.size < 4.2
