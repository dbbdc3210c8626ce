"""Fetch what the Flink tests need into the user's cache: `make runners`.

Flink's libraries come out of the Python package apache-flink-libraries, Beam's job server is put
together by Maven from infra/flink/pom.xml. Some 600 MB are fetched, once; both are kept.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FLINK = "1.19.3"
POM = Path(__file__).parents[2] / "infra/flink/pom.xml"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vineleaf"
LIBRARIES = CACHE / f"flink-{FLINK}"  # jars
JOB_SERVER = CACHE / "beam-2.62.0-flink-job-server.jar"


def fetch_libraries(scratch: Path) -> None:
    """The jars of Flink, which stand in the source distribution."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
    asked = ["--dest", str(scratch), f"apache-flink-libraries=={FLINK}"]
    subprocess.run([*pip, *asked], check=True)
    (found,) = scratch.glob("apache*flink*.tar.gz")
    jars = scratch / "jars"
    jars.mkdir()
    with tarfile.open(found) as archive:
        for member in archive:
            path = Path(member.name)
            if path.parent.match("*/deps/lib") and path.suffix == ".jar":
                content = archive.extractfile(member)
                assert content is not None
                with (jars / path.name).open("wb") as jar:
                    shutil.copyfileobj(content, jar)
    jars.replace(LIBRARIES)


def make_job_server(scratch: Path) -> None:
    """One jar of Beam's Flink runner and all that it needs."""
    target = [f"-Dtarget={scratch}/target"]
    subprocess.run(["mvn", "-q", "-B", "-f", str(POM), *target, "package"], check=True)
    (scratch / "target/job-server.jar").replace(JOB_SERVER)


def main() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        if not LIBRARIES.exists():
            fetch_libraries(Path(scratch))
        if not JOB_SERVER.exists():
            make_job_server(Path(scratch))


if __name__ == "__main__":
    main()
