"""Custom resources, answered by the very code that was deployed for them.

moto would run it in Docker. Here the function's own archive is unpacked and run by Node, with its environment and with
moto as its AWS, so that the rehearsal goes through our handlers and their assets.
"""

import io
import json
import os
import subprocess
import tempfile
import threading
import uuid
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from moto.awslambda import lambda_backends
from moto.core.common_models import CloudFormationModel

INVOKE = Path(__file__).with_name("invoke.mjs")


class CustomResource(CloudFormationModel):
    def __init__(self, event, answer):
        self.event = event
        self.physical_resource_id = answer["PhysicalResourceId"]
        self.data = answer.get("Data", {})

    @staticmethod
    def cloudformation_name_type():
        return ""

    @staticmethod
    def cloudformation_type():
        return "Rehearsal::CustomResource"

    @classmethod
    def has_cfn_attr(cls, attr):
        return True

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name, cloudformation_json, account_id, region_name, **kwargs
    ):
        event = {
            "StackId": kwargs["StackId"],
            "LogicalResourceId": kwargs["LogicalId"],
            "ResourceType": kwargs["ResourceType"],
            # CloudFormation hands every value on as a string.
            "ResourceProperties": as_strings(cloudformation_json["Properties"]),
        }
        return cls(event, ask("Create", event, account_id, region_name))

    def get_cfn_attribute(self, attribute_name):
        return self.data[attribute_name]

    def delete(self, account_id, region_name):
        ask(
            "Delete",
            {**self.event, "PhysicalResourceId": self.physical_resource_id},
            account_id,
            region_name,
        )


def as_strings(value):
    if isinstance(value, dict):
        return {key: as_strings(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_strings(inner) for inner in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def ask(request_type, event, account_id, region_name):
    """Sends the event to the function behind the resource, and returns what it put to the event's ResponseURL."""
    function = lambda_backends[account_id][region_name].get_function(
        event["ResourceProperties"]["ServiceToken"]
    )
    answers = []
    with answer_server(answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        request = {
            **event,
            "RequestType": request_type,
            "RequestId": str(uuid.uuid4()),
            "ServiceToken": function.function_arn,
            "ResponseURL": f"http://localhost:{server.server_port}/",
        }
        output = run(function, request, region_name)
        server.shutdown()
    what = f"{request_type} of {event['LogicalResourceId']} ({event['ResourceType']})"
    if not answers or answers[0]["Status"] != "SUCCESS":
        raise RuntimeError(f"{what} failed: {answers or 'no answer'}\n{output}")
    print("custom resource:", what, flush=True)
    return answers[0]


def answer_server(answers):
    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self):
            answers.append(
                json.loads(self.rfile.read(int(self.headers["content-length"])))
            )
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format, *args):
            pass

    return ThreadingHTTPServer(("localhost", 0), Receiver)


def run(function, event, region_name):
    environment = {
        **function.environment_vars,
        "PATH": os.environ["PATH"],
        "AWS_REGION": region_name,
        "AWS_ENDPOINT_URL": f"http://localhost:{os.environ['MOTO_PORT']}",
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_SESSION_TOKEN": "rehearsal",
    }
    with tempfile.TemporaryDirectory() as code:
        zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(code)
        finished = subprocess.run(
            ["node", INVOKE, code, function.handler],
            input=json.dumps(event),
            env=environment,
            timeout=int(function.timeout),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    return finished.stdout
