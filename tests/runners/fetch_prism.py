"""Build Beam's Prism runner into the user's cache: `make prism`. Go needs some minutes, once."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "2.77.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vineleaf"
PRISM = CACHE / f"prism-{VERSION}"


def main() -> None:
    if not PRISM.exists() and shutil.which("go") is None:
        print("Prism is built with Go, which is not here: its test is skipped", file=sys.stderr)
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        if not PRISM.exists():
            module = f"github.com/apache/beam/sdks/v2/go/cmd/prism@v{VERSION}"
            environment = {**os.environ, "GOBIN": scratch}
            subprocess.run(["go", "install", module], check=True, env=environment)
            (Path(scratch) / "prism").replace(PRISM)


if __name__ == "__main__":
    main()
