"""Flink's files agree with each other, with what the tests run, and with the docs."""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "runners"))

from fetch_flink import FLINK, JOB_SERVER

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "infra/flink/config.yaml").read_text())
SESSION = {
    one["kind"]: one for one in yaml.safe_load_all((ROOT / "infra/flink/session.yaml").read_text())
}
CLUSTER = SESSION["FlinkDeployment"]["spec"]


def images(value):
    """All images that a manifest names."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name == "image":
                yield one
            else:
                yield from images(one)
    elif isinstance(value, list):
        for one in value:
            yield from images(one)


def test_the_manifest_has_the_settings_of_the_file():
    its = dict(CLUSTER["flinkConfiguration"])
    assert all(isinstance(one, str) for one in its.values())  # Kubernetes takes no numbers there
    shipped = {name: str(value) for name, value in CONFIG.items()}
    assert CLUSTER["taskManager"]["resource"]["memory"] == shipped.pop(
        "taskmanager.memory.process.size"
    )
    slots = "taskmanager.numberOfTaskSlots"
    assert its.pop(slots) > shipped.pop(slots)
    assert its == shipped


def test_an_out_of_memory_ends_the_process_and_the_job_is_tried_again():
    assert "-XX:+ExitOnOutOfMemoryError" in CONFIG["env.java.opts.all"]
    assert CONFIG["restart-strategy.type"] == "fixed-delay"
    assert CONFIG["restart-strategy.fixed-delay.attempts"] > 0


def test_images_are_pinned():
    found = [image for one in SESSION.values() for image in images(one)]
    assert len(found) == 3
    for image in found:
        assert re.search(r":\d+\.\d+\.\d+", image), image
    assert CLUSTER["image"].startswith(f"flink:{FLINK}-")
    assert CLUSTER["flinkVersion"] == "v" + "_".join(FLINK.split(".")[:2])


def test_the_python_worker_is_a_pool_that_has_a_core_for_each_slot():
    _, worker = CLUSTER["taskManager"]["podTemplate"]["spec"]["containers"]
    assert worker["args"] == ["--worker_pool"]
    assert worker["ports"] == [{"containerPort": 50000}]  # Beam's launcher listens there
    assert (
        worker["resources"]["requests"]["cpu"]
        == CLUSTER["flinkConfiguration"]["taskmanager.numberOfTaskSlots"]
    )
    assert worker["securityContext"]["runAsNonRoot"] is True
    assert "--environment_config=localhost:50000" in (ROOT / "docs/runners.md").read_text()


def test_the_job_server_listens_where_its_service_leads():
    (container,) = SESSION["Deployment"]["spec"]["template"]["spec"]["containers"]
    ports = {one["containerPort"] for one in container["ports"]}
    assert ports == {one["port"] for one in SESSION["Service"]["spec"]["ports"]}
    for port in ports:
        assert any(argument.endswith(f"port={port}") for argument in container["args"])
    assert (
        f"--flink-master={SESSION['FlinkDeployment']['metadata']['name']}-rest:8081"
        in (container["args"])
    )
    labels = SESSION["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert SESSION["Service"]["spec"]["selector"] == labels


def test_the_job_server_that_is_deployed_is_the_one_that_is_tested():
    names = {"m": "http://maven.apache.org/POM/4.0.0"}
    project = ElementTree.parse(ROOT / "infra/flink/pom.xml").getroot()
    beam = next(
        one
        for one in project.iterfind(".//m:dependency", names)
        if one.findtext("m:groupId", namespaces=names) == "org.apache.beam"
    )
    series = ".".join(FLINK.split(".")[:2])
    assert beam.findtext("m:artifactId", namespaces=names) == f"beam-runners-flink-{series}"
    version = beam.findtext("m:version", namespaces=names)
    assert JOB_SERVER.name == f"beam-{version}-flink-job-server.jar"
    (container,) = SESSION["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"apache/beam_flink{series}_job_server:{version}"
    assert f"of Beam {version}," in (ROOT / "docs/runners.md").read_text()
