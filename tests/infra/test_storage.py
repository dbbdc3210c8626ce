"""The policy of a bucket allows what the S3 client of this project asks for, and no more."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The action that S3 asks for a request of boto3's.
ACTIONS = {
    "head_object": {"s3:GetObject"},
    "get_object": {"s3:GetObject"},
    "list_objects_v2": {"s3:ListBucket"},
    "put_object": {"s3:PutObject"},
    "create_multipart_upload": {"s3:PutObject"},
    "upload_part": {"s3:PutObject"},
    "complete_multipart_upload": {"s3:PutObject"},
    "abort_multipart_upload": {"s3:AbortMultipartUpload"},
    "copy": {"s3:GetObject", "s3:PutObject"},
    "delete_objects": {"s3:DeleteObject"},
}


def test_the_policy_allows_what_is_asked_for_and_no_more():
    source = (ROOT / "transforms/s3.py").read_text()
    asked = set(re.findall(r"_client\(\)\.(?!get_paginator)(\w+)\(", source))
    asked |= set(re.findall(r'get_paginator\("(\w+)"\)', source))
    policy = json.loads((ROOT / "infra/storage/s3-policy.json").read_text())
    allowed = {action for one in policy["Statement"] for action in one["Action"]}
    assert allowed == set().union(*(ACTIONS[name] for name in asked))


def test_inputs_are_only_read():
    policy = json.loads((ROOT / "infra/storage/s3-policy.json").read_text())
    of_inputs = {
        action
        for one in policy["Statement"]
        for action in one["Action"]
        if "INPUTS" in str(one["Resource"])
    }
    assert of_inputs == {"s3:GetObject", "s3:ListBucket"}


def test_parts_of_killed_uploads_are_deleted():
    rules = json.loads((ROOT / "infra/storage/s3-lifecycle.json").read_text())["Rules"]
    assert [set(one) & {"Expiration", "NoncurrentVersionExpiration"} for one in rules] == [set()]
    assert rules[0]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] >= 1
