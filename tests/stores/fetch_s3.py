"""Fetch the S3 server of the tests into the user's cache: `make runners`.

Maven puts it together from pom.xml, 27 MB, once.
"""

import os
import subprocess
import tempfile
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vineleaf"
SERVER = CACHE / "s3proxy-3.1.0"  # jars


def main() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        if not SERVER.exists():
            jars = Path(scratch) / "jars"
            asked = [f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
            goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
            subprocess.run(["mvn", "-q", "-B", "-f", str(POM), goal, *asked], check=True)
            jars.replace(SERVER)


if __name__ == "__main__":
    main()
