"""What Flink's REST interface says is told in a clause, and the named job alone is cancelled."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.flink_rest import cancel_flink_job, describe_flink

VERTICES = [
    {"name": "read", "status": "FINISHED", "tasks": {"FINISHED": 2}},
    {"name": "group " * 40, "status": "RUNNING", "tasks": {"RUNNING": 1, "SCHEDULED": 1}},
    *({"name": f"later {n}", "status": "CREATED", "tasks": {"CREATED": 2}} for n in range(4)),
]
ANSWERS = {
    "/overview": {"taskmanagers": 2, "slots-available": 0, "slots-total": 2},
    "/jobs/overview": {
        "jobs": [
            {"jid": "old", "name": "vineleaf-fuzzy-1", "state": "FINISHED"},
            {"jid": "ours", "name": "vineleaf-fuzzy-1", "state": "RUNNING"},
            {"jid": "theirs", "name": "vineleaf-fuzzy-2", "state": "RUNNING"},
        ]
    },
    "/jobs/ours": {"state": "RUNNING", "vertices": VERTICES},
    "/jobs/ours?mode=cancel": {},
}


@pytest.fixture
def flink():
    """(options that name a JobManager, what it was asked)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(f"{self.command} {self.path}")
            body = json.dumps(ANSWERS[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PATCH = do_GET

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield PipelineOptions([f"--flink_master=127.0.0.1:{server.server_port}"]), asked
    server.shutdown()
    server.server_close()


def test_workers_slots_and_steps_are_told(flink):
    said = describe_flink(flink[0], "vineleaf-fuzzy-1")
    assert said.startswith("Flink has 2 TaskManagers with 0 of 2 slots free; the job is RUNNING at")
    assert "(1 scheduled, 1 running), later 0 (2 created), later 1 (2 created), 2 more; " in said
    assert "read" not in said
    assert len(said) < 300


def test_only_the_running_job_of_that_name_is_cancelled(flink):
    cancel_flink_job(flink[0], "vineleaf-fuzzy-1")
    assert [one for one in flink[1] if "PATCH" in one] == ["PATCH /jobs/ours?mode=cancel"]


def test_without_a_master_nothing_is_asked():
    assert describe_flink(PipelineOptions([]), "name") == ""
    cancel_flink_job(PipelineOptions(["--flink_master=[local]"]), "name")


def test_a_master_that_does_not_answer_is_told():
    options = PipelineOptions(["--flink_master=http://127.0.0.1:1/"])
    assert describe_flink(options, "n").startswith("Flink at http://127.0.0.1:1 does not answer (")
