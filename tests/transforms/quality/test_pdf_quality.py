import random
import zlib

import pytest

from transforms.quality.pdf_quality import SCHEMA, PdfQuality


def rows(batch):
    table = PdfQuality().annotate(batch)
    assert table.schema == SCHEMA
    return table.to_pylist()


def test_numbers_of_small_texts(make_batch):
    table = "| year | 1999 |\n|------|------|\nThat was all."
    year, tables, blank, empty = rows(make_batch(["2024\n\nwas a year", table, " \n ", ""]))
    assert year["numeric_fraction"] == 0.5
    assert tables["pipe_line_fraction"] == 2 / 3
    assert tables["numeric_fraction"] == 4 / 15 / 3
    assert (blank["numeric_fraction"], blank["pipe_line_fraction"]) == (0.0, 0.0)
    assert set(empty.values()) == {0.0}


def test_compressed_fraction_is_near_that_of_zlib(make_batch, corpus):
    texts = [text for text in corpus if len(text) > 2000]
    for text, row in zip(texts, rows(make_batch(texts)), strict=True):
        encoded = text.encode()
        assert row["compressed_fraction"] == pytest.approx(
            len(zlib.compress(encoded, 1)) / len(encoded), rel=0.15
        )


def test_repetition_compresses_and_noise_does_not(make_batch):
    noise = "".join(chr(0x100 + random.Random(place).randrange(0x200)) for place in range(20_000))
    repeated, noisy = rows(make_batch(["All work and no play. " * 2000, noise]))
    assert repeated["compressed_fraction"] < 0.02
    assert noisy["compressed_fraction"] > 0.6
