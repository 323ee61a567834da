"""One request as the four texts of the preview pane: YAML, command line, curl, JSON body. Pure.

They are made from the same values that submit sends, so what is copied makes an identical workload.
"""

import json
import shlex
from typing import Any

from workloads.specs.api_shapes import spec_json
from workloads.specs.compile import compile_spec
from workloads.specs.manifest import plain_manifest, to_yaml
from workloads.specs.request import DISTRIBUTED, SubmitRequest

PATHS = {"training": "trainings", "distributed": "distributed", "workspace": "workspaces"}
NO_CLI = "# Gangs cannot be submitted from the command line yet; apply the YAML with kubectl, or use the API.\n"


def yaml_text(request: SubmitRequest, namespace: str) -> str:
    return to_yaml(plain_manifest(compile_spec(request), object_name=request.name, namespace=namespace))


def body(request: SubmitRequest, cluster_id: str) -> dict[str, Any]:
    """The creation body of the public API."""
    return {
        "name": request.name,
        "projectId": request.project_id,
        "clusterId": cluster_id,
        "spec": spec_json(request),
    }


def json_text(request: SubmitRequest, cluster_id: str) -> str:
    return json.dumps(body(request, cluster_id), indent=2, ensure_ascii=False)


def curl_text(request: SubmitRequest, cluster_id: str, base_url: str) -> str:
    return (
        f"curl -X POST {base_url}/api/v1/workloads/{PATHS[request.type]} \\\n"
        '  -H "Authorization: Bearer $RUNAI_TOKEN" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json_text(request, cluster_id))}\n"
    )


def cli_text(request: SubmitRequest, project: str) -> str:
    """The words of ``runai training submit``, one flag a line."""
    if request.type == DISTRIBUTED:
        return NO_CLI
    flags = [
        ("--project", project),
        ("--image", request.image),
        ("--gpu-devices-request", request.gpu_devices),
        ("--gpu-portion-request", request.gpu_portion),
        ("--gpu-memory-request", request.gpu_memory),
        ("--cpu-core-request", request.cpu),
        ("--cpu-core-limit", request.cpu_limit),
        ("--cpu-memory-request", request.memory),
        ("--cpu-memory-limit", request.memory_limit),
        ("--node-pools", ",".join(request.node_pools) or None),
        ("--priority", request.priority_class),
        ("--working-dir", request.working_dir),
        ("--backoff-limit", request.backoff_limit),
    ]
    lines = [f"{flag} {shlex.quote(str(value))}" for flag, value in flags if value is not None]
    lines += [f"--environment {shlex.quote(f'{item.name}={item.value}')}" for item in request.environment]
    lines += [f"--image-pull-secret {shlex.quote(name)}" for name in request.image_pull_secrets]
    if request.preemptibility:
        lines.append(f"--{request.preemptibility}")
    if request.ttl_seconds_after_finished is not None:
        lines.append(f"--auto-deletion-time-after-completion {request.ttl_seconds_after_finished}s")
    if request.command:
        lines.append(f"--command -- {shlex.join([*request.command, *request.args])}")
    elif request.args:
        lines.append(f"-- {shlex.join(request.args)}")
    return f"runai training submit {request.name} \\\n  " + " \\\n  ".join(lines) + "\n"
