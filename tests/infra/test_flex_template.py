"""The flex template's metadata: parameters that the entry takes, and what their patterns let in."""

import json
import re
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.runners import beam_options, submission  # noqa: F401 (options of ours among Beam's)

ROOT = Path(__file__).parents[2]
METADATA = json.loads((ROOT / "infra/dataflow/metadata.json").read_text())
PARAMETERS = {one["name"]: one for one in METADATA["parameters"]}
IMAGE = "europe-docker.pkg.dev/project/repository/vineleaf"

VALUES = {
    "recipe": (
        ["gs://bucket/my.yaml", "gs://my-bucket.example/a folder/r_1.yml"],
        [
            "my.yaml",
            "gs://bucket/my.json",
            "s3://bucket/my.yaml",
            "gs://B/my.yaml",
            "gs://bk/*.yaml",
        ],
    ),
    "workspace": (
        ["gs://bucket/w", "gs://bucket/a/b/"],
        ["workspace", "gs://bucket", "gs://bucket/", "gs://bucket/w*", "/mnt/w"],
    ),
    "set": (
        ["mix.tokens=2M", "mix.tokens=2M; gates=null", "pool.dedup.keep=[newest, longest];"],
        ["mix.tokens", "=2M", "mix.tokens=2M;gates", "a b=c"],
    ),
    "sdk_container_image": (
        [f"{IMAGE}:0.1.0", f"{IMAGE}@sha256:{'0a' * 32}", "localhost:5000/vineleaf:x"],
        ["vineleaf", IMAGE, f"{IMAGE}:", f"{IMAGE}@sha256:12", f"https://{IMAGE}:0.1.0"],
    ),
    "service_account_email": (
        ["worker@my-project.iam.gserviceaccount.com"],
        ["worker", "worker@", "a b@c.de", "user:worker@project.com"],
    ),
    "max_num_workers": (["1", "50", "4000"], ["0", "-1", "1.5", "many", "10000"]),
    "autoscaling_algorithm": (["NONE", "THROUGHPUT_BASED"], ["none", "BASIC", "NONE,NONE"]),
    "machine_type": (["n2-standard-8", "c3d-highmem-16"], ["n2", "N2-STANDARD-8", "n2 standard"]),
    "subnetwork": (
        [
            "regions/europe-west4/subnetworks/default",
            "https://www.googleapis.com/compute/v1/projects/p/regions/r1/subnetworks/s-1",
        ],
        ["default", "regions/europe-west4", "https://example.org/regions/r/subnetworks/s"],
    ),
    "use_public_ips": (["true", "false"], ["True", "no", "1"]),
    "experiments": (
        ["shuffle_mode=service", "use_runner_v2,shuffle_mode=service"],
        ["shuffle_mode service", ",a", "a,", "A=b"],
    ),
    "exchange_carrier": (["files", "groupbykey"], ["disk", "Files"]),
    "patience_minutes": (["30", "2.5", "600"], ["0", "-5", "half", "1e3"]),
}


def matches(name: str, value: str) -> bool:
    """All patterns of a parameter must match the whole value."""
    return all(re.fullmatch(pattern, value) for pattern in PARAMETERS[name]["regexes"])


def test_all_parameters_are_tried():
    assert VALUES.keys() == PARAMETERS.keys()


@pytest.mark.parametrize(("name", "value"), [(k, one) for k, v in VALUES.items() for one in v[0]])
def test_a_good_value_is_let_in(name, value):
    assert matches(name, value)


@pytest.mark.parametrize(("name", "value"), [(k, one) for k, v in VALUES.items() for one in v[1]])
def test_a_bad_value_is_refused(name, value):
    assert not matches(name, value)
    assert not matches(name, "")


def test_names_are_those_of_the_command_and_of_beam():
    ours = {"recipe", "workspace", "set"}
    others = set(PipelineOptions([]).get_all_options())
    assert PARAMETERS.keys() - ours <= others
    needed = {name for name, one in PARAMETERS.items() if not one.get("isOptional")}
    assert needed == {"recipe", "workspace", "sdk_container_image"}


def test_each_parameter_is_explained():
    for one in METADATA["parameters"]:
        assert set(one) <= {"name", "label", "helpText", "isOptional", "regexes", "paramType"}
        assert one["label"]
        assert one["helpText"].endswith(".")
