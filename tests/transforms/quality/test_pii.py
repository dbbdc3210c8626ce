from itertools import pairwise

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.kernels.cut import cut_spans
from transforms.quality.pii import SCHEMA, Pii
from transforms.spans import unite_spans

TEXTS = st.lists(
    st.sampled_from(
        ["joe@example.org", "10.0.0.1", "206-555-1234", "2001:db8::1", " ", "é", "日", "x", "@"]
    ),
    max_size=12,
).map("".join)


def annotate(batch):
    table = Pii().annotate(batch)
    assert table.schema == SCHEMA
    return table


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_counts_and_share_are_those_of_the_spans(make_batch, texts):
    batch = make_batch(texts)
    for text, row in zip(texts, annotate(batch).to_pylist(), strict=True):
        kinds = [row["emails"], row["ip_addresses"], row["phone_numbers"]]
        counts = [row["email_count"], row["ip_address_count"], row["phone_number_count"]]
        assert [len(spans) for spans in kinds] == counts
        assert row["span_count"] == sum(counts)
        covered = {at for spans in kinds for one in spans for at in range(one["start"], one["end"])}
        size = len(text.encode())
        assert row["byte_fraction"] == (len(covered) / size if size else 0.0)


def test_spans_lie_between_characters_and_cutting_them_leaves_the_rest(make_batch):
    texts = ["Né: joe@exämple.de oder (206) 555-1234.", "", "日10.0.0.1 日 10.0.0.1日"]
    batch = make_batch(texts)
    table = annotate(batch)
    spans = unite_spans(
        [table.column(name) for name in ("emails", "ip_addresses", "phone_numbers")], len(texts)
    )
    data, offsets = cut_spans(*batch.text, spans)
    left = [bytes(data[a:b]).decode() for a, b in pairwise(offsets)]
    assert left == ["Né:  oder .", "", "日10.0.0.1 日 10.0.0.1日"]


def test_a_batch_without_documents_has_no_row(make_batch):
    assert annotate(make_batch([])).num_rows == 0
    assert pa.types.is_list(SCHEMA.field("emails").type)
