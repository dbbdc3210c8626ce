"""A real S3 server on loopback that checks signatures and conditions, and a proxy that fails.

S3Proxy keeps buckets as folders. The proxy stands before it and, for every n-th request in turn,
answers 503, cuts the connection before an answer, or cuts the answer's body.
`python tests/stores/s3_server.py` starts a server with a bucket, prints how to use it and waits.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from fetch_s3 import SERVER

KEY, SECRET = "vineleaf-tests", "a-secret-that-must-show-nowhere"
START_SECONDS = 60
LOGGING = """<configuration><appender name="E" class="ch.qos.logback.core.ConsoleAppender">
<encoder><pattern>%d %level %m%n</pattern></encoder></appender>
<root level="WARN"><appender-ref ref="E"/></root></configuration>"""


def require_s3() -> None:
    """Skip, with the reason, where Java or what `make runners` fetches is missing."""
    if shutil.which("java") is None:
        pytest.skip("missing: java, which the S3 server needs")
    if not SERVER.exists():
        pytest.skip(f"missing: {SERVER}, which `make runners` fetches")


def credentials(secret: str = SECRET) -> dict[str, str]:
    """What boto3's chain finds in the environment."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Start a server over an empty folder; gives its address."""
    require_s3()
    (folder / "data").mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "s3proxy.endpoint": address,
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": KEY,
        "s3proxy.credential": SECRET,
        "s3proxy.ignore-unknown-headers": "true",  # checksums, which it does not know
        "s3proxy.v4-max-non-chunked-request-size": 256 << 20,
        "jclouds.provider": "filesystem-nio2",
        "jclouds.identity": "none",
        "jclouds.credential": "none",
        "jclouds.filesystem.basedir": folder / "data",
    }
    (folder / "s3.conf").write_text("".join(f"{name}={one}\n" for name, one in settings.items()))
    (folder / "logback.xml").write_text(LOGGING)
    tied = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    java = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    command = [*tied, *java, f"-Dlogback.configurationFile={folder / 'logback.xml'}"]
    command += ["-cp", f"{SERVER}/*", "org.gaul.s3proxy.Main", "--properties", "s3.conf"]
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        _wait(process, address, folder / "s3.log")
        yield address
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    host, port = address.removeprefix("http://").split(":")
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        with socket.socket() as one:
            if one.connect_ex((host, int(port))) == 0:
                return
        assert time.monotonic() < deadline, f"no S3 server within {START_SECONDS} s"
        time.sleep(0.1)


@dataclass
class FaultyProxy:
    """What it did so far: requests, and failures by kind."""

    address: str = ""
    every: int = 3  # this one of so many requests fails
    kinds: tuple[str, ...] = ("503", "cut", "half")
    requests: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def failure(self) -> str:
        """How the next request is to fail, "" for not at all."""
        with self.lock:
            self.requests += 1
            if self.requests % self.every:
                return ""
            kind = self.kinds[self.requests // self.every % len(self.kinds)]
            self.failures[kind] = self.failures.get(kind, 0) + 1
            return kind


@contextmanager
def faulty_proxy(server: str) -> Iterator[FaultyProxy]:
    """A proxy before the server, which hands on requests as they are, Host and signature too."""
    proxy = FaultyProxy()
    target = server.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            failure = proxy.failure()
            if failure == "503":
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if failure == "cut":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            asked = http.client.HTTPConnection(target, timeout=60)
            asked.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"connection", "expect"}:
                    asked.putheader(name, value)
            asked.endheaders(body)
            answer = asked.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if failure == "half":
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.wfile.write(content)
            asked.close()

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

    with _listening(Handler) as proxy.address:
        yield proxy


@dataclass
class ListingStub:
    """Where it listens and how often it was asked."""

    address: str = ""
    requests: int = 0


@contextmanager
def listing_stub(count: int) -> Iterator[ListingStub]:
    """A bucket that is all listing: so many objects, every other one `.parquet`."""
    stub = ListingStub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            stub.requests += 1
            asked = parse_qs(urlsplit(self.path).query)
            first = int(asked.get("continuation-token", ["0"])[0])
            end = min(count, first + 1000)
            objects = "".join(
                f"<Contents><Key>shards/{number:06d}.{('parquet', 'json')[number % 2]}</Key>"
                "<Size>7</Size></Contents>"
                for number in range(first, end)
            )
            more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < count else ""
            content = f"<ListBucketResult>{objects}{more}<IsTruncated>{str(end < count).lower()}"
            content += "</IsTruncated></ListBucketResult>"
            self.send_response(200 if asked["prefix"] == ["shards/"] else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

    with _listening(Handler) as stub.address:
        yield stub


@contextmanager
def _listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}"
    finally:
        listening.shutdown()
        listening.server_close()


def main() -> None:
    """Start a server with the bucket `vineleaf` and keep it until Ctrl-C."""
    with tempfile.TemporaryDirectory() as folder, s3_server(Path(folder, "server")) as address:
        environment = {**credentials(), "AWS_ENDPOINT_URL_S3": address}
        os.environ.update(environment)
        boto3.client("s3").create_bucket(Bucket="vineleaf")
        for name, value in environment.items():
            sys.stdout.write(f"export {name}={value}\n")
        sys.stdout.write("# vineleaf run RECIPE -w s3://vineleaf/workspace; Ctrl-C ends it.\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
