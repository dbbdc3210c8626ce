import pytest

from benchmarks.ours.road import cut_anew

DOCUMENTS = [{"id": f"{n}", "text": f"{n}" * 40, "source": "a"} for n in range(5)]


@pytest.mark.parametrize("turns", [1, 2, 4])
def test_a_corpus_cut_anew_holds_its_text_so_many_times_under_new_ids(turns):
    made = cut_anew(DOCUMENTS, turns)
    assert made[: len(DOCUMENTS)] == DOCUMENTS
    assert len({one["id"] for one in made}) == len(made) == turns * len(DOCUMENTS)
    text = "".join(one["text"] for one in made)
    assert sorted(text) == sorted("".join(one["text"] for one in DOCUMENTS) * turns)


def test_each_turn_cuts_at_another_place():
    made = cut_anew(DOCUMENTS, 4)
    assert [made[5 * turn]["text"] for turn in range(4)] == [
        "0" * 40,
        "0" * 30 + "1" * 10,
        "0" * 20 + "1" * 20,
        "0" * 10 + "1" * 30,
    ]
