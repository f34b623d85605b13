"""Starts moto_server with its interpreter of the States Language, and with what that leaves to others.

Usage, in the folder above: MACHINE_HOST=http://... python3 -m cloud.machine PORT

The interpreter, which is LocalStack's, parses definitions by their grammar and runs states, choices, retries, variables
and distributed maps. JSONata, functions and jobs are answered by the host, which is the test: by the JSONata package of
its authors, and by the built handlers. Items as JSON lines and batches of items, which it lacks, are added here; a batch's
size is told by the end of a map's label.
"""

import copy
import inspect
import json
import os
import re
import sys
import urllib.request

from moto import server
from moto.core.config import default_user_config
from moto.glue.models import GlueBackend
from moto.stepfunctions.models import StateMachineInstance
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader import (
    item_reader_decl,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.reader_config import (
    input_type,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task import (
    lambda_eval_utils,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_glue import (
    StateTaskServiceGlue,
)
from moto.stepfunctions.parser.asl.eval import states, variable_store
from moto.stepfunctions.parser.asl.jsonata import jsonata

HOST = os.environ["MACHINE_HOST"]


def ask(path, body):
    request = urllib.request.Request(
        HOST + path,
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        result = json.loads(answer.read())
    if "broken" in result:
        raise RuntimeError(result["broken"])
    return result


def evaluate(expression):
    answer = ask("/jsonata", {"expression": expression})
    if "error" in answer:
        raise jsonata.JSONataException("States.QueryEvaluationError", answer["error"])
    return answer["value"]


def declarations(bindings):
    """moto writes texts between quotation marks as they are, which ends at the first one that they hold."""
    return "".join(
        f"{name}:={json.dumps(value, default=lambda time: time.isoformat())};"
        for name, value in bindings.items()
    )


def invoke(parameters, region, state_credentials):
    payload = json.loads(parameters.get("Payload") or b"{}")
    return ask("/invoke", {"function": parameters["FunctionName"], "payload": payload})


class Lines:
    """Items, a line each."""

    def eval(self, env):
        env.stack.pop()
        env.stack.append([json.loads(line) for line in env.stack.pop().splitlines()])


class LineType:
    value = "JSONL"


def know_lines(init):
    def known(self, input_type):
        if input_type == LineType.value:
            self.input_type_value = LineType
        else:
            init(self, input_type)

    return known


def read_lines(transformer_for):
    def transformer(input_type):
        is_lines = input_type.input_type_value is LineType
        return Lines() if is_lines else transformer_for(input_type=input_type)

    return transformer


def batched(map_run):
    def run(self, env, eval_input):
        size = re.search(r"-(\d+)$", eval_input.label or "")
        if size:
            items, n = env.stack.pop(), int(size[1])
            env.stack.append([items[i : i + n] for i in range(0, len(items), n)])
        map_run(self, env, eval_input)

    return run


def with_work(start):
    parameters = inspect.signature(start)

    def start_job_run(*args, **kwargs):
        run = start(*args, **kwargs)
        given = parameters.bind(*args, **kwargs).arguments
        ask("/job", {"name": given["name"], "arguments": given["arguments"]})
        return run

    return start_job_run


def wait_for_job(
    self, env, resource_runtime_part, normalised_parameters, state_credentials
):
    """Polls until the job has ended; moto's own way ends with a token that jobs do not have."""
    output = env.stack.pop()
    self.timeout.eval(env=env)
    seconds = env.stack.pop()
    env.stack.append(output)
    resolver = self._build_sync_resolver(
        env=env,
        resource_runtime_part=resource_runtime_part,
        normalised_parameters=normalised_parameters,
        state_credentials=state_credentials,
    )
    env.stack.append(self._eval_sync(env, resolver, seconds, None, None))


StateTaskServiceGlue._eval_integration_pattern = wait_for_job
# A copy is taken for each execution, which fails on the threads of those before.
StateMachineInstance.__deepcopy__ = lambda machine, _: copy.copy(machine)
default_user_config["stepfunctions"]["execute_state_machine"] = True
jsonata._eval_jsonata = evaluate
states.encode_jsonata_variable_declarations = declarations
variable_store.encode_jsonata_variable_declarations = declarations
lambda_eval_utils._invoke_lambda_function = invoke
input_type.InputType.__init__ = know_lines(input_type.InputType.__init__)
item_reader_decl.resource_output_transformer_for = read_lines(
    item_reader_decl.resource_output_transformer_for
)
DistributedIterationComponent._map_run = batched(DistributedIterationComponent._map_run)
GlueBackend.start_job_run = with_work(GlueBackend.start_job_run)

server.main(["--port", sys.argv[1]])
