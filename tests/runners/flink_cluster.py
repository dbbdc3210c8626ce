"""A real Flink cluster on loopback: one JobManager, two TaskManagers, Beam's job server.

Everything listens on 127.0.0.1 at free ports and ends with the block that started it.
`python tests/runners/flink_cluster.py` starts one, prints Beam's options for it and waits.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from fetch_flink import JOB_SERVER, LIBRARIES

ROOT = Path(__file__).parents[2]
START_SECONDS = 120
OPENED = (
    "java.lang java.net java.io java.nio sun.nio.ch java.lang.reflect java.text java.time java.util"
    " java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks"
)
# Addresses, and what Flink's scripts would work out: they are not in the package.
HERE: dict[str, Any] = {
    "jobmanager.rpc.address": "127.0.0.1",
    "jobmanager.bind-host": "127.0.0.1",
    "taskmanager.host": "127.0.0.1",
    "taskmanager.bind-host": "127.0.0.1",
    "rest.address": "127.0.0.1",
    "rest.bind-address": "127.0.0.1",
    "taskmanager.cpu.cores": 1.0,
    "taskmanager.memory.task.heap.size": "512m",
    "taskmanager.memory.task.off-heap.size": "128m",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.managed.size": "256m",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
    "taskmanager.memory.jvm-overhead.min": "192m",
    "taskmanager.memory.jvm-overhead.max": "192m",
    "heartbeat.interval": 1000,  # a killed TaskManager is missed sooner
    "restart-strategy.fixed-delay.delay": "1 s",
    "classloader.resolve-order": "parent-first",  # Beam is on Flink's own class path, see below
}


def settings() -> dict[str, Any]:
    """Flink's settings as the project ships them, for this machine."""
    shipped = yaml.safe_load((ROOT / "infra/flink/config.yaml").read_text())
    for name in ("taskmanager.memory.process.size", "taskmanager.memory.managed.fraction"):
        del shipped[name]  # HERE has the parts that follow from them
    return {**shipped, **HERE}


def require_flink() -> None:
    """Skip, with the reason, where Java or what `make runners` fetches is missing."""
    if shutil.which("java") is None:
        pytest.skip("missing: java, which Flink needs")
    for path in (JOB_SERVER, LIBRARIES):
        if not path.exists():
            pytest.skip(f"missing: {path}, which `make runners` fetches")


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@dataclass
class FlinkCluster:
    """Processes of a running cluster and where they listen."""

    folder: Path
    rest_port: int
    job_port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    groups: list[int] = field(default_factory=list)  # of all that were ever started

    def beam_options(self, **options: object) -> list[str]:
        """Beam's options for this cluster, with Python workers as processes."""
        command = self.folder / "worker"
        given = {
            "flink_master": f"127.0.0.1:{self.rest_port}",
            "job_endpoint": f"127.0.0.1:{self.job_port}",
            "environment_type": "PROCESS",
            "environment_config": json.dumps({"command": str(command)}),
            "environment_cache_millis": 60_000,
            "parallelism": 2,
            # Nothing is sent with a job, for which Flink would load all of Beam anew.
            "files_to_stage": self.folder / "nothing.jar",
            **options,
        }
        return [f"--{name}={value}" for name, value in given.items()]

    def rest(self, path: str) -> Any:
        """An answer of the JobManager."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port}{path}", timeout=10) as got:
            return json.load(got)

    def taskmanagers(self) -> int:
        try:
            return int(self.rest("/overview")["taskmanagers"])
        except OSError:
            return 0

    def start_java(self, name: str, main: str, arguments: list[str], heap: str) -> None:
        """Start one of Flink's processes; `name`.log in the cluster's folder is what it prints."""
        opened = [f"--add-opens=java.base/{one}=ALL-UNNAMED" for one in OPENED.split()]
        exported = ["java.base/sun.net.util", "java.rmi/sun.rmi.registry"]
        # Where there is setpriv it ends with this process, however that ends.
        tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        command = [
            *tied,
            "java",
            f"-Xmx{heap}",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            *opened,
            *(f"--add-exports={one}=ALL-UNNAMED" for one in exported),
            *(["-cp", f"{LIBRARIES}/*:{JOB_SERVER}", main] if main else ["-jar", str(JOB_SERVER)]),
            *arguments,
        ]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self.groups.append(self.processes[name].pid)

    def start_taskmanager(self, name: str) -> None:
        main = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        self.start_java(name, main, ["--configDir", str(self.folder)], "768m")

    def kill(self, name: str) -> None:
        """SIGKILL to one of the processes alone, as a machine's out-of-memory killer would."""
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def wait(self, what: str, ready: Any) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            for name, process in self.processes.items():
                if process.poll() is not None:
                    log = (self.folder / f"{name}.log").read_text(errors="replace")
                    raise AssertionError(f"{name} ended while waiting for {what}: {log[-2000:]}")
            assert time.monotonic() < deadline, f"no {what} within {START_SECONDS} s"
            time.sleep(0.2)

    def listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.job_port)) == 0

    def workers(self) -> list[int]:
        """Processes of the Python workers that the TaskManagers have started."""
        found = []
        for name, process in self.processes.items():
            if name.startswith("taskmanager"):
                for children in Path(f"/proc/{process.pid}/task").glob("*/children"):
                    with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended
                        found += [int(one) for one in children.read_text().split()]
        return sorted(found)

    def stop(self) -> None:
        for group in self.groups:  # the Python workers as well, also of one that was killed
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        for process in self.processes.values():
            process.wait()


@contextmanager
def flink_cluster(folder: Path) -> Iterator[FlinkCluster]:
    """Start a cluster whose files lie in `folder`."""
    require_flink()
    folder.mkdir(parents=True, exist_ok=True)
    rest, rpc, blob, job, artifact, expansion = free_ports(6)
    its = {
        **settings(),
        "rest.port": rest,
        "jobmanager.rpc.port": rpc,
        "blob.server.port": blob,
        "io.tmp.dirs": str(folder),
    }
    lines = [f"{name}: {value}" for name, value in its.items()]
    (folder / "config.yaml").write_text("\n".join(lines) + "\n")
    worker = folder / "worker"
    worker.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipelines.runners.worker "$@"\n')
    worker.chmod(0o755)
    with zipfile.ZipFile(folder / "nothing.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
    cluster = FlinkCluster(folder, rest, job)
    try:
        cluster.start_java(
            "jobmanager",
            "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
            ["--configDir", str(folder), "--executionMode", "cluster"],
            "768m",
        )
        for number in (1, 2):
            cluster.start_taskmanager(f"taskmanager-{number}")
        names = ("flink-master", "job-host", "job-port", "artifact-port", "expansion-port")
        values = (f"127.0.0.1:{rest}", "127.0.0.1", job, artifact, expansion)
        arguments = [f"--{name}={value}" for name, value in zip(names, values, strict=True)]
        cluster.start_java(
            "job-server", "", [*arguments, f"--artifacts-dir={folder}/artifacts"], "1g"
        )
        cluster.wait("two TaskManagers", lambda: cluster.taskmanagers() == 2)
        cluster.wait("job server", cluster.listens)
        yield cluster
    finally:
        cluster.stop()


def main() -> None:
    """Start a cluster and keep it until Ctrl-C."""
    with tempfile.TemporaryDirectory() as folder, flink_cluster(Path(folder)) as cluster:
        options = shlex.join(cluster.beam_options())
        sys.stdout.write(f"vineleaf run RECIPE -w WORKSPACE --runner FlinkRunner -- {options}\n")
        sys.stdout.write(f"Flink shows its jobs at http://127.0.0.1:{cluster.rest_port}; ")
        sys.stdout.write("Ctrl-C ends it.\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
