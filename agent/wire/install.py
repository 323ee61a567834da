"""The manifest that turns a cluster into ours: pure text from facts, for the control plane to hand out.

``kubectl apply -f`` (once, or again: it is idempotent) or ``python -m agent install -f`` takes it. The RunaiConfig is
not in it, because kubectl refuses a file whose kinds it also defines: the agent makes it at its first start.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Any

from agent.wire import labels
from agent.wire.objects import DEFAULT_PRIORITY_CLASS, PRIORITIES

SERVICE_ACCOUNT = "runai-agent"
ENROLMENT_SECRET = "runai-enrolment"  # noqa: S105
LINK_CONFIG_MAP = "runai-link"
CHART_CONFIG_MAP = "runai-config"
"""The values of the chart, as the spec of the RunaiConfig."""
CONFIG_NAME = "runai"
RESERVATION_ACCOUNT = "runai-reservation"
PART_OF = {"app.kubernetes.io/part-of": "runai"}
ROLES = ("administrator", "researcher", "viewer")

Obj = dict[str, Any]
_READ = ["get", "list", "watch"]
_ALL = ["get", "list", "watch", "create", "update", "patch", "delete"]
_BREAKS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_./-]+")


def crd_text() -> str:
    """The YAML of all custom resource definitions, ready for ``render_manifest``."""
    files = [file for file in resources.files("agent").joinpath("crds").iterdir() if file.name.endswith(".yaml")]
    return "\n---\n".join(file.read_text().strip() for file in sorted(files, key=lambda file: file.name))


def definition_names() -> list[str]:
    """Names of our definitions: the agent may change these and no others."""
    files = resources.files("agent").joinpath("crds").iterdir()
    names = (file.name.removesuffix(".yaml").partition("_") for file in files if file.name.endswith(".yaml"))
    return sorted(f"{kind}.{group}" for group, _, kind in names)


def render_manifest(
    *, cluster_id: str, cluster_name: str, link_url: str, ca_pem: str, enrolment_token: str, crd_yaml: str
) -> str:
    """The whole manifest as YAML. ``crd_yaml``: the definitions' text, joined by ``---`` lines.

    It carries the enrolment token: show it once, store it nowhere.
    """
    objects = [_namespace(), *priority_classes(), *service_account(), *project_roles(), *reservation_objects()]
    objects.append(_secret(enrolment_token))
    objects.append(_link_config(cluster_id, cluster_name, link_url, ca_pem))
    documents = [crd_yaml.strip(), *(to_yaml(obj) for obj in objects)]
    return "---\n" + "\n---\n".join(text.strip() for text in documents) + "\n"


def runai_config(cluster_id: str = "", cluster_name: str = "") -> Obj:
    """The one ``RunaiConfig`` with its defaults."""
    spec = {"clusterId": cluster_id, "clusterName": cluster_name, "schedulerNames": list(labels.SCHEDULER_NAMES)}
    return _object("run.ai/v1", "RunaiConfig", CONFIG_NAME, namespace=labels.NAMESPACE, spec=spec)


def priority_classes() -> list[Obj]:
    """One PriorityClass per named priority. ``Never``: kube-scheduler must not preempt on their behalf."""
    return [
        _object(
            "scheduling.k8s.io/v1",
            "PriorityClass",
            name,
            value=value,
            preemptionPolicy="Never",
            description="The default of workloads"
            if name == DEFAULT_PRIORITY_CLASS
            else f"Workloads of priority {value}",
        )
        for name, value in PRIORITIES.items()
    ]


def project_roles() -> list[Obj]:
    """ClusterRoles that access rules bind in the namespaces of projects."""
    own = ["workloads"]
    view = [_rule([""], ["pods", "pods/log", "events", "services"], _READ), _rule(["run.ai"], own, _READ)]
    view.append(_rule(["scheduling.run.ai"], ["podgroups"], _READ))
    research = [
        _rule(["run.ai"], own, _ALL),
        _rule([""], ["pods"], ["delete"]),
        _rule([""], ["pods/exec", "pods/attach", "pods/portforward"], ["create", "get"]),
        _rule([""], ["configmaps", "persistentvolumeclaims"], _ALL),
        _rule(["batch"], ["jobs", "cronjobs"], _ALL),
        _rule(["apps"], ["deployments", "statefulsets", "replicasets"], _ALL),
    ]
    administer = [_rule([""], ["secrets", "services", "pods"], _ALL)]
    rules = {"viewer": view, "researcher": view + research, "administrator": view + research + administer}
    return [
        _object("rbac.authorization.k8s.io/v1", "ClusterRole", f"runai-{role}", rules=rules[role]) for role in ROLES
    ]


def reservation_objects() -> list[Obj]:
    """Namespace of the pods that hold shared GPUs, and what such a pod may do: say which device it was given."""
    name, space = RESERVATION_ACCOUNT, labels.RESERVATION_NAMESPACE
    rbac, api = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": space}
    rules = [_rule([""], ["pods"], ["get", "patch"])]
    return [
        _object("v1", "Namespace", space),
        _object("v1", "ServiceAccount", name, namespace=space),
        _object(rbac, "Role", name, namespace=space, rules=rules),
        _object(
            rbac,
            "RoleBinding",
            name,
            namespace=space,
            subjects=[subject],
            roleRef={"apiGroup": api, "kind": "Role", "name": name},
        ),
    ]


READS_KIND = "run.ai/reads-workload-kind"
"""Label of a ClusterRole whose rules the agent gets too: whoever adds a WorkloadKind grants the reading of it."""


def agent_rules() -> list[Obj]:
    """What the agent may do, and nothing beyond."""
    foreign = ["kubeflow.org", "trainer.kubeflow.org", "ray.io", "jobset.x-k8s.io", "leaderworkerset.x-k8s.io"]
    foreign += ["serving.knative.dev", "argoproj.io", "tekton.dev", "sparkoperator.k8s.io", "kubevirt.io"]
    foreign += ["machinelearning.seldon.io", "egx.nvidia.io", "workspace.devfile.io", "amlarc.azureml.com"]
    foreign += ["grove.io", "nvidia.com"]
    return [
        _rule(["run.ai", "scheduling.run.ai", "kai.scheduler"], ["*"], [*_ALL, "deletecollection"]),
        _rule([""], ["pods", "services", "configmaps", "namespaces", "serviceaccounts"], _ALL),
        _rule([""], ["pods/status", "nodes", "nodes/status"], ["get", "list", "watch", "patch", "update"]),
        _rule([""], ["pods/binding", "bindings"], ["create"]),
        _rule([""], ["pods/log", "nodes/proxy", "nodes/stats", "nodes/metrics"], ["get"]),
        _rule([""], ["resourcequotas", "endpoints"], _READ),
        _rule([""], ["persistentvolumes"], [*_READ, "patch"]),
        _rule([""], ["limitranges"], _ALL),
        _rule([""], ["secrets"], ["create"]),  # ssh keys of MPI workloads: made, never read
        _rule(["networking.k8s.io"], ["ingressclasses"], _READ),
        _rule(["networking.k8s.io"], ["ingresses"], _ALL),
        _rule(["gateway.networking.k8s.io"], ["gateways"], _READ),
        _rule(["gateway.networking.k8s.io"], ["httproutes"], _ALL),
        _rule([""], ["persistentvolumeclaims"], [*_READ, "create", "patch", "update"]),
        _rule(["", "events.k8s.io"], ["events"], [*_READ, "create", "patch"]),
        _rule(["coordination.k8s.io"], ["leases"], _ALL),
        _rule(["scheduling.k8s.io"], ["priorityclasses"], _READ),
        _rule(["storage.k8s.io"], ["storageclasses", "csinodes", "csidrivers", "csistoragecapacities"], _READ),
        _rule(["resource.k8s.io"], ["resourceslices", "deviceclasses"], _READ),
        _rule(["resource.k8s.io"], ["resourceclaims", "resourceclaims/status"], [*_READ, "patch", "update"]),
        _rule(["apiextensions.k8s.io"], ["customresourcedefinitions"], [*_READ, "create"]),
        _rule(["apiextensions.k8s.io"], ["customresourcedefinitions"], ["patch", "update"], names=definition_names()),
        _rule(
            ["admissionregistration.k8s.io"],
            ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
            ["get", "list", "watch", "create"],
        ),
        _rule(
            ["admissionregistration.k8s.io"],
            ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
            ["patch", "update", "delete"],
            names=["runai"],
        ),
        _rule(["apps"], ["deployments", "replicasets", "statefulsets", "daemonsets"], _READ),
        _rule(["batch"], ["jobs", "cronjobs"], _READ),
        _rule([""], ["replicationcontrollers"], _READ),
        _rule(foreign, ["*"], _READ),
        _rule(["discovery.k8s.io"], ["endpointslices"], [*_READ, "create", "patch", "update"]),
        _rule(["policy"], ["poddisruptionbudgets"], _READ),
        _rule(["rbac.authorization.k8s.io"], ["rolebindings"], _ALL),
        _rule(["rbac.authorization.k8s.io"], ["clusterroles"], _READ),
        _rule(["rbac.authorization.k8s.io"], ["clusterroles"], ["bind"], names=[f"runai-{role}" for role in ROLES]),
    ]


def namespace_rules() -> list[Obj]:
    """What the agent may do in its own namespace beyond that."""
    return [_rule([""], ["secrets"], _ALL), _rule(["apps"], ["deployments"], _ALL)]


def cluster_roles() -> list[Obj]:
    """The ClusterRoles of this release with their rules: the agent's first, then those of people."""
    rbac = "rbac.authorization.k8s.io/v1"
    return [_object(rbac, "ClusterRole", SERVICE_ACCOUNT, rules=agent_rules()), *project_roles()]


def service_account() -> list[Obj]:
    """The account of the agent and its rights."""
    subject = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": labels.NAMESPACE}
    rbac, api = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
    ref = {"apiGroup": api, "kind": "ClusterRole", "name": SERVICE_ACCOUNT}
    kinds = {"apiGroup": api, "kind": "ClusterRole", "name": f"{SERVICE_ACCOUNT}-kinds"}
    chosen = {"clusterRoleSelectors": [{"matchLabels": {READS_KIND: "true"}}]}
    secret_ref = {"apiGroup": api, "kind": "Role", "name": SERVICE_ACCOUNT}
    return [
        _object("v1", "ServiceAccount", SERVICE_ACCOUNT, namespace=labels.NAMESPACE),
        cluster_roles()[0],
        _object(rbac, "ClusterRoleBinding", SERVICE_ACCOUNT, subjects=[subject], roleRef=ref),
        _object(rbac, "ClusterRole", kinds["name"], aggregationRule=chosen),
        _object(rbac, "ClusterRoleBinding", kinds["name"], subjects=[subject], roleRef=kinds),
        _object(rbac, "Role", SERVICE_ACCOUNT, namespace=labels.NAMESPACE, rules=namespace_rules()),
        _object(
            rbac, "RoleBinding", SERVICE_ACCOUNT, namespace=labels.NAMESPACE, subjects=[subject], roleRef=secret_ref
        ),
    ]


def _namespace() -> Obj:
    return _object("v1", "Namespace", labels.NAMESPACE)


def _secret(token: str) -> Obj:
    secret = _object("v1", "Secret", ENROLMENT_SECRET, namespace=labels.NAMESPACE, type="Opaque")
    secret["stringData"] = {"token": token}
    return secret


def _link_config(cluster_id: str, cluster_name: str, link_url: str, ca_pem: str) -> Obj:
    data = {"url": link_url, "ca.crt": ca_pem, "cluster-id": cluster_id, "cluster-name": cluster_name}
    return _object("v1", "ConfigMap", LINK_CONFIG_MAP, namespace=labels.NAMESPACE, data=data)


def _object(api_version: str, kind: str, name: str, *, namespace: str | None = None, **fields: Any) -> Obj:
    meta: Obj = {"name": name, "labels": dict(PART_OF)}
    if namespace:
        meta["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **fields}


def _rule(groups: list[str], resources: list[str], verbs: list[str], names: list[str] | None = None) -> Obj:
    rule: Obj = {"apiGroups": groups, "resources": resources, "verbs": list(verbs)}
    return rule | ({"resourceNames": names} if names else {})


def to_yaml(value: Any, indent: int = 0) -> str:
    """YAML of plain data. Texts are JSON strings (valid YAML); texts of several lines are literal blocks."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(_entry(f"{pad}{_key(key)}:", item, indent) for key, item in value.items())
    if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
        return "".join(f"{pad}- {to_yaml(item, indent + 1).lstrip()}" for item in value)
    return f"{pad}{_scalar(value)}\n"


def _entry(head: str, value: Any, indent: int) -> str:
    if (
        isinstance(value, str)
        and "\n" in value
        and not _BREAKS.search(value)
        and value == value.strip("\n") + "\n"
        and value[0] != " "
    ):
        pad = "  " * (indent + 1)
        return f"{head} |\n" + "".join(f"{pad}{line}\n" if line else "\n" for line in value.splitlines())
    nested = isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], (dict, list)))
    if value and nested:
        return f"{head}\n{to_yaml(value, indent + 1)}"
    return f"{head} {_scalar(value)}\n"


def _is_block(text: str) -> bool:
    """Whether a literal block says it exactly: lines that end with one newline and hold nothing special."""
    return "\n" in text and text == text.strip("\n") + "\n" and text[0] != " " and not _BREAKS.search(text)


def _scalar(value: Any) -> str:
    """JSON, with the line breaks escaped that YAML knows and JSON does not."""
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) else json.dumps(key)
