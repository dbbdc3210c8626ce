"""What is measured of shards is a stage that is really made, looked at and gone on with."""

from benchmarks.shards import measure_shards, render
from transforms.datasets import Dataset


def test_a_stage_of_so_many_shards_is_made_and_looked_at_again(tmp_path):
    figures = measure_shards(20, str(tmp_path))
    _, manifest = Dataset.published(str(tmp_path / "scores"))
    assert len(manifest.files) == 20
    assert manifest.counts["rows"] == 20_000
    table = render(figures)
    assert "20 shards" in table
    assert "| going on, half of it done | " in table
