"""The soak's text is what was asked for, and its figures are of a run that was made."""

import json

from benchmarks.repeated import COPIED, repeat_documents
from benchmarks.soak import measure_soak, render
from pipelines.demo.planting import similarity

DOCUMENTS = [
    {"id": f"d{one}", "text": " ".join(f"w{one}x{word}" for word in range(400))}
    for one in range(99)
]


def test_repeated_text_is_the_same_each_time_and_as_much_as_was_asked_for():
    size = sum(len(one["text"]) for one in DOCUMENTS)
    made = list(repeat_documents(DOCUMENTS, 5 * size // 2))
    assert made == list(repeat_documents(DOCUMENTS, 5 * size // 2))
    assert made[:99] == DOCUMENTS
    total = sum(len(one["text"]) for one in made)
    assert 5 * size // 2 <= total < 5 * size // 2 + 4000
    assert len({one["id"] for one in made}) == len(made)


def test_most_of_a_turn_is_changed_too_much_to_be_a_near_duplicate_and_some_is_copied():
    turns = 8
    made = list(repeat_documents(DOCUMENTS, sum(len(one["text"]) for one in DOCUMENTS) * turns))
    like = [similarity(one["text"], made[place % 99]["text"]) for place, one in enumerate(made)]
    later = like[99:]
    copied = sum(one == 1.0 for one in later)
    assert 0 < copied < 4 * len(later) / COPIED
    assert max(one for one in later if one < 1.0) < 0.5


def test_a_small_soak_runs_the_whole_road(tmp_path):
    figures = measure_soak(600_000, str(tmp_path), ["--direct_num_workers=1"], 400_000)
    assert figures["text_bytes"] >= 600_000
    assert figures["cpu_seconds"] > 0
    assert figures["peak_bytes"] > 50_000_000
    assert figures["disk_bytes"]["documents"] > 0
    assert json.dumps(figures["ledger"])
    assert "| 0.00 GB |" in render(figures)
