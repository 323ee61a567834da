"""The submit form: text in, a ``SubmitRequest`` out. What the request may hold is judged by ``specs.validate``."""

import shlex
from typing import Any

from django import forms

from agent.wire.objects import PRIORITIES, EnvVar
from clusters.models import NodePool
from projects.models import Project
from runai_cp.lib.console_forms import ConsoleForm
from workloads.specs.problems import SpecError
from workloads.specs.request import DISTRIBUTED, TRAINING, SubmitRequest, split_gpus
from workloads.specs.validate import FRAMEWORKS

PREEMPTION = [
    ("", "By the priority"),
    ("preemptible", "Preemptible: may borrow beyond the quota, may be reclaimed"),
    ("non-preemptible", "Non-preemptible: stays inside the quota, is never reclaimed"),
]


class SubmitForm(ConsoleForm):
    FIELDS_OF = {
        "project_id": "project",
        "gpu_devices": "gpus",
        "gpu_portion": "gpus",
        "gpu_memory": "gpus",
        "priority_class": "priority",
        "preemptibility": "preemption",
        "node_pools": "pool",
        "args": "arguments",
        "completions": "workers",
        "image_pull_secrets": "pull_secrets",
    }

    name = forms.CharField(label="Name", max_length=200, help_text="Lower-case letters, digits and hyphens.")
    project = forms.ModelChoiceField(label="Project", queryset=Project.objects.none(), empty_label=None)
    image = forms.CharField(label="Image", max_length=600)
    command = forms.CharField(label="Command", required=False, max_length=20000)
    gpus = forms.CharField(label="GPUs", initial="1", max_length=20)
    pool = forms.ChoiceField(label="Node pool", required=False)
    priority = forms.ChoiceField(label="Priority", required=False)
    preemption = forms.ChoiceField(label="Preemption", required=False, choices=PREEMPTION)
    cpu = forms.CharField(label="CPU request, cores", required=False, max_length=30)
    cpu_limit = forms.CharField(label="CPU limit, cores", required=False, max_length=30)
    memory = forms.CharField(label="Memory request", required=False, max_length=30, help_text="Such as 512Mi or 8Gi.")
    memory_limit = forms.CharField(label="Memory limit", required=False, max_length=30)
    arguments = forms.CharField(label="Arguments", required=False, max_length=20000)
    working_dir = forms.CharField(label="Working directory", required=False, max_length=4096)
    environment = forms.CharField(
        label="Environment variables", required=False, max_length=60000, help_text="One NAME=value a line.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )  # fmt: skip
    pull_secrets = forms.CharField(
        label="Image pull secrets",
        required=False,
        max_length=5000,
        help_text="Names of Secrets of the project, separated by spaces.",
    )
    workers = forms.CharField(
        label="Workers",
        required=False,
        max_length=10,
        help_text="Empty is one pod; a number is a gang: all start or none.",
    )
    framework = forms.ChoiceField(label="Framework", required=False)
    backoff_limit = forms.CharField(
        label="Retries", required=False, max_length=10, help_text="Failed attempts; 6 if empty."
    )
    ttl = forms.CharField(
        label="Deleted after completion, seconds", required=False, max_length=12, help_text="Empty keeps it."
    )

    def __init__(self, *args: Any, projects: Any, pools: list[NodePool], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["project"].queryset = projects  # type: ignore[attr-defined]
        self.fields["pool"].choices = [("", "Any: the project's own order"), *((p.name, p.name) for p in pools)]  # type: ignore[attr-defined]
        self.fields["priority"].choices = [("", "train (default)"), *((name, name) for name in PRIORITIES)]  # type: ignore[attr-defined]
        self.fields["framework"].choices = [("", "None"), *((name, name) for name in FRAMEWORKS)]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Turn the strings that have a shape of their own; numbers and names are judged with the whole request."""
        data = self.cleaned_data
        data["command_words"] = self._words("command")
        data["argument_words"] = self._words("arguments")
        data["variables"] = self._variables()
        for name in ("workers", "backoff_limit", "ttl"):
            data[name] = self._whole(name)
        try:
            data["gpu"] = split_gpus(data.get("gpus", ""))
        except SpecError as error:
            self.add_error("gpus", error.problems[0].message)
        return data

    def _words(self, name: str) -> tuple[str, ...]:
        try:
            return tuple(shlex.split(self.cleaned_data.get(name, "")))
        except ValueError as error:
            self.add_error(name, f"The quoting cannot be read: {error}.")
            return ()

    def _variables(self) -> tuple[EnvVar, ...]:
        found = []
        for number, line in enumerate(self.cleaned_data.get("environment", "").splitlines(), 1):
            if not line.strip():
                continue
            name, equals, value = line.partition("=")
            if not equals:
                self.add_error("environment", f"Line {number} has no '=': write NAME=value.")
            found.append(EnvVar(name.strip(), value))
        return tuple(found)

    def _whole(self, name: str) -> int | None:
        text = self.cleaned_data.get(name, "").strip()
        if not text:
            return None
        if not text.lstrip("-").isdigit():
            self.add_error(name, f"{text!r} is not allowed here. Allowed: a whole number.")
            return None
        return int(text)

    def to_request(self) -> SubmitRequest:
        data = self.cleaned_data
        devices, portion = data.get("gpu", (None, None))
        workers = data.get("workers")
        return SubmitRequest(
            name=data.get("name", ""),
            project_id=str(data["project"].pk) if data.get("project") else "",
            image=data.get("image", ""),
            type=TRAINING if workers is None else DISTRIBUTED,
            command=data["command_words"],
            args=data["argument_words"],
            working_dir=data.get("working_dir") or None,
            environment=data["variables"],
            image_pull_secrets=tuple(data.get("pull_secrets", "").replace(",", " ").split()),
            gpu_devices=devices,
            gpu_portion=portion,
            cpu=data.get("cpu") or None,
            cpu_limit=data.get("cpu_limit") or None,
            memory=data.get("memory") or None,
            memory_limit=data.get("memory_limit") or None,
            workers=workers,
            framework=data.get("framework") or None,
            node_pools=(data["pool"],) if data.get("pool") else (),
            priority_class=data.get("priority") or None,
            preemptibility=data.get("preemption") or None,
            backoff_limit=data.get("backoff_limit"),
            ttl_seconds_after_finished=data.get("ttl"),
        )


def initial_of(request: SubmitRequest) -> dict[str, Any]:
    """The form's values that make this request: for copy and edit."""
    gpus = request.gpu_portion or request.gpu_devices or "0"
    return {
        "name": request.name,
        "project": request.project_id,
        "image": request.image,
        "command": shlex.join(request.command),
        "arguments": shlex.join(request.args),
        "working_dir": request.working_dir or "",
        "environment": "\n".join(f"{item.name}={item.value}" for item in request.environment),
        "pull_secrets": " ".join(request.image_pull_secrets),
        "gpus": gpus,
        "pool": request.node_pools[0] if request.node_pools else "",
        "priority": request.priority_class or "",
        "preemption": request.preemptibility or "",
        "cpu": request.cpu or "",
        "cpu_limit": request.cpu_limit or "",
        "memory": request.memory or "",
        "memory_limit": request.memory_limit or "",
        "workers": "" if request.workers is None else str(request.workers),
        "framework": request.framework or "",
        "backoff_limit": "" if request.backoff_limit is None else str(request.backoff_limit),
        "ttl": "" if request.ttl_seconds_after_finished is None else str(request.ttl_seconds_after_finished),
    }
