import re

import jsonschema
import pyarrow as pa
import pytest

from transforms import query
from transforms.quality.conditions import Condition
from transforms.quality.rule_schemas import RULE_SCHEMAS
from transforms.quality.rules import rule

NAMES = [
    "gopher",
    "c4",
    "fineweb",
    "language",
    "madlad",
    "dolma3_lines",
    "code",
    "pdf_quality",
    "pii",
]


def kept(condition, value, type_=None):
    """Whether a document whose column has this value is kept, by the recipe's own SQL."""
    table, _, column = condition.column.partition(".")
    batch = pa.RecordBatch.from_arrays([pa.array([value], type_)], [column])
    (result,) = query.evaluate([condition.to_sql()], {table: batch}, 1)
    return result[0].as_py()


@pytest.mark.parametrize("name", NAMES)
def test_conditions_and_cuts_name_columns_of_the_rules_annotators(name):
    built = rule(name)
    schemas = {annotator.name: annotator.schema for annotator in built.annotators}
    query.check_expressions([one.to_sql() for one in built.conditions], schemas)
    for column in built.cuts:
        table, _, field = column.partition(".")
        assert pa.types.is_list(schemas[table].field(field).type)


@pytest.mark.parametrize("name", NAMES)
def test_reasons_of_a_rule_differ(name):
    reasons = [condition.reason for condition in rule(name).conditions]
    assert len(reasons) == len(set(reasons)) > 0
    assert all(reason.split(".")[0] == name for reason in reasons)


def test_sql_is_what_a_reader_expects():
    assert {
        one.reason: one.to_sql() for one in rule("gopher").conditions if "word" in one.column
    } == {
        "gopher.words": "gopher.word_count >= 50 AND gopher.word_count <= 100000",
        "gopher.mean_word_length": "gopher.mean_word_length >= 3 AND gopher.mean_word_length <= 10",
        "gopher.symbols": "gopher.symbol_word_ratio <= 0.1",
        "gopher.words_without_letter": "gopher.words_without_letter_fraction <= 0.2",
        "gopher.stop_words": "gopher.stop_word_count >= 2",
    }


@pytest.mark.parametrize("name", ["gopher", "c4", "fineweb", "code", "pdf_quality", "pii"])
def test_bounds_are_inclusive_to_the_last_bit(name):
    for condition in rule(name).conditions:
        for bound in (condition.at_least, condition.at_most):
            if bound is not None:
                assert kept(condition, float(bound))
        if condition.at_least is not None:
            assert not kept(condition, float(condition.at_least) * (1 - 2**-52))
        if condition.at_most is not None:
            assert not kept(condition, float(condition.at_most) * (1 + 2**-51))


def test_null_is_kept_only_where_a_condition_says_so():
    bounds = {"column": "code.x", "at_least": 1}
    assert kept(Condition("r", **bounds, keep_unknown=True), None, pa.int64()) is True
    assert kept(Condition("r", **bounds), None, pa.int64()) is None
    assert kept(Condition("r", **bounds, keep_unknown=True), 0) is False


def test_flags_are_compared_by_value():
    condition = Condition("r", "code.minified", equals=False)
    assert (kept(condition, False), kept(condition, True)) == (True, False)


def test_any_kept_language_is_enough_and_keywords_of_sql_are_quoted():
    built = rule("language", {"keep": ["is", "as", "en"], "at_least": 0.5})
    (condition,) = built.conditions
    assert condition.to_sql() == 'greatest(language."as", language."en", language."is") >= 0.5'
    columns = [pa.array(one, pa.float32()) for one in ([0.1, 0.4], [0.2, 0.3], [0.5, 0.3])]
    batch = pa.RecordBatch.from_arrays(columns, ["as", "en", "is"])
    (result,) = query.evaluate([condition.to_sql()], {"language": batch}, 2)
    assert result.to_pylist() == [True, False]
    assert built.annotators[0].languages == ("as", "en", "is")


def test_english_has_a_column_whatever_is_kept():
    assert rule("language", {"keep": ["de"]}).annotators[0].languages == ("de", "en")
    assert rule("language").conditions[0].to_sql() == 'language."en" >= 0.65'


def test_the_order_of_kept_languages_changes_nothing():
    assert rule("language", {"keep": ["de", "fr"]}) == rule("language", {"keep": ["fr", "de"]})


def test_options_replace_one_bound_lift_one_or_drop_the_condition():
    def words(options):
        built = rule("gopher", {"words": options})
        return [one.to_sql() for one in built.conditions if one.reason == "gopher.words"]

    assert words({"at_least": 9}) == ["gopher.word_count >= 9 AND gopher.word_count <= 100000"]
    assert words({"at_most": None}) == ["gopher.word_count >= 50"]
    assert words({"at_least": None, "at_most": None}) == []
    assert words(False) == []


def test_c4_says_what_it_cuts_and_its_numbers_reach_the_annotator():
    built = rule("c4", {"words_per_line": 3, "sentences": {"at_least": 5}})
    assert built.annotators[0].parameters() == {"words_per_line": 3, "word_length": 1000}
    assert built.conditions[0].to_sql() == "c4.sentence_count >= 5"
    assert built.cuts == ("c4.line_spans", "c4.citation_spans")
    assert rule("c4", {"cut_lines": False}).cuts == ()


def test_personal_data_is_cut_by_kind():
    assert rule("pii").cuts == ("pii.emails", "pii.ip_addresses", "pii.phone_numbers")
    assert rule("pii", {"cut_ip_addresses": False}).cuts == ("pii.emails", "pii.phone_numbers")


def test_a_fifth_of_questionable_sentences_is_too_much():
    sentences, questionable = rule("madlad").conditions
    assert sentences.to_sql() == "madlad.sentence_count >= 5"
    assert questionable.to_sql() == "madlad.questionable_sentence_fraction < 0.2"
    assert [kept(questionable, n / 5) for n in (0, 1, 2)] == [True, False, False]
    assert all(kept(questionable, n / (5 * n + 1)) for n in range(1, 100))
    (_, changed) = rule("madlad", {"questionable": {"at_most": 0.1, "below": None}}).conditions
    assert changed.to_sql() == "madlad.questionable_sentence_fraction <= 0.1"


def test_dolma3_lines_say_what_they_cut_and_their_numbers_reach_the_annotator():
    built = rule("dolma3_lines", {"upper_case": 1, "words_per_line": 0, "cut_words": False})
    (annotator,) = built.annotators
    assert annotator.parameters() == {
        "upper_case": 1.0,
        "words_per_line": 0,
        "phrase_words": 10,
        "newlines_kept": 2,
    }
    assert (built.conditions, built.cuts) == ((), ("dolma3_lines.cut_spans",))
    built = rule("dolma3_lines", {"cut_lines": False})
    assert built.cuts == ()
    assert [one.to_sql() for one in built.conditions] == ["dolma3_lines.cut_word_fraction <= 0.05"]


def test_flags_can_be_dropped_but_not_turned_round():
    assert len(rule("code", {"vendored": False}).conditions) == len(rule("code").conditions) - 1
    assert rule("code", {"vendored": True}) == rule("code")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gofer", {}, "unknown rule 'gofer' (there are c4, "),
        ("gopher", {"wrods": {}}, "rule 'gopher' has no option 'wrods' (there are "),
        (
            "gopher",
            {"words": {"at_lest": 1}},
            "gopher.words has no 'at_lest' (there are at_least, at_most, below)",
        ),
        ("gopher", {"words": {"at_most": "262,144"}}, "words.at_most must be a number"),
        ("gopher", {"words": {"at_least": True}}, "words.at_least must be a number (got True)"),
        ("gopher", {"words": 50}, "gopher.words must be false or have at_least, at_most, below"),
        ("gopher", {"words": {"at_least": 9, "at_most": 8}}, "so nothing can pass"),
        ("gopher", {"words": {"at_least": float("nan")}}, "must be finite"),
        ("gopher", {"newlines_kept": 0}, "newlines_kept must be at least 1 (got 0)"),
        ("gopher", {"cut_newlines": "no"}, "gopher.cut_newlines must be true or false"),
        ("madlad", {"questionable": {"at_least": 0.2}}, "has at_least 0.2 and below 0.2"),
        ("madlad", {"list_case_words": 0}, "list_case_words must be at least 1 (got 0)"),
        ("dolma3_lines", {"upper_case": "0.5"}, "dolma3_lines.upper_case must be a number"),
        ("dolma3_lines", {"upper_case": 2}, "upper_case must be from 0 to 1 (got 2.0)"),
        ("c4", {"words_per_line": 2.5}, "c4.words_per_line must be a whole number (got 2.5)"),
        ("c4", {"lorem_ipsum": "yes"}, "c4.lorem_ipsum must be true or false (got 'yes')"),
        ("language", {"keep": "en"}, "language.keep must be a list"),
        ("language", {"keep": ["english"]}, "names no language of lid.176: 'english'"),
        ("language", {"at_least": "0.65"}, "language.at_least must be a number"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(name, options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        rule(name, options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_valid_and_its_defaults_are_the_rules(name):
    schema = RULE_SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    defaults = {}
    for option, one in schema["properties"].items():
        assert one["description"]
        if "default" in one:
            defaults[option] = one["default"]
        else:
            bounds = one["oneOf"][1]["properties"]
            defaults[option] = {bound: bounds[bound]["default"] for bound in bounds}
    jsonschema.validate(defaults, schema)
    assert rule(name, defaults) == rule(name)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gopher", {"words": {"at_least": "50"}}),
        ("gopher", {"word": {}}),
        ("gopher", {"words": True}),
        ("c4", {"words_per_line": 0}),
        ("language", {"keep": []}),
        ("language", {"at_least": 1.5}),
    ],
)
def test_schemas_refuse_what_the_rule_refuses(name, options):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(options, RULE_SCHEMAS[name])


def test_a_condition_has_bounds_or_a_value():
    for wrong in ({}, {"at_least": 1, "equals": True}):
        with pytest.raises(ValueError, match="must have bounds or a value, not both"):
            Condition("r", "a.b", **wrong)
