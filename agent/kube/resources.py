"""Which path a kind lives under: the table of every Kubernetes kind the agent touches, ours included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of the API. ``group`` is empty for the core group."""

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path. Without a namespace: the whole cluster (list and watch only, for namespaced kinds)."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        elif self.namespaced and name:
            raise ValueError(f"{self.kind} {name!r}: a namespaced object needs a namespace")
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


POD = Resource("Pod", "pods")
NODE = Resource("Node", "nodes", namespaced=False)
NAMESPACE = Resource("Namespace", "namespaces", namespaced=False)
SERVICE = Resource("Service", "services")
SERVICE_ACCOUNT = Resource("ServiceAccount", "serviceaccounts")
CONFIG_MAP = Resource("ConfigMap", "configmaps")
SECRET = Resource("Secret", "secrets")
EVENT = Resource("Event", "events")
PERSISTENT_VOLUME = Resource("PersistentVolume", "persistentvolumes", namespaced=False)
PERSISTENT_VOLUME_CLAIM = Resource("PersistentVolumeClaim", "persistentvolumeclaims")
RESOURCE_QUOTA = Resource("ResourceQuota", "resourcequotas")
LIMIT_RANGE = Resource("LimitRange", "limitranges")
ENDPOINTS = Resource("Endpoints", "endpoints")
ENDPOINT_SLICE = Resource("EndpointSlice", "endpointslices", "discovery.k8s.io")

DEPLOYMENT = Resource("Deployment", "deployments", "apps")
REPLICA_SET = Resource("ReplicaSet", "replicasets", "apps")
STATEFUL_SET = Resource("StatefulSet", "statefulsets", "apps")
DAEMON_SET = Resource("DaemonSet", "daemonsets", "apps")
JOB = Resource("Job", "jobs", "batch")
CRON_JOB = Resource("CronJob", "cronjobs", "batch")

LEASE = Resource("Lease", "leases", "coordination.k8s.io")
PRIORITY_CLASS = Resource("PriorityClass", "priorityclasses", "scheduling.k8s.io", namespaced=False)
STORAGE_CLASS = Resource("StorageClass", "storageclasses", "storage.k8s.io", namespaced=False)
ROLE = Resource("Role", "roles", "rbac.authorization.k8s.io")
ROLE_BINDING = Resource("RoleBinding", "rolebindings", "rbac.authorization.k8s.io")
CLUSTER_ROLE = Resource("ClusterRole", "clusterroles", "rbac.authorization.k8s.io", namespaced=False)
CLUSTER_ROLE_BINDING = Resource(
    "ClusterRoleBinding", "clusterrolebindings", "rbac.authorization.k8s.io", namespaced=False
)
NETWORK_POLICY = Resource("NetworkPolicy", "networkpolicies", "networking.k8s.io")
INGRESS_CLASS = Resource("IngressClass", "ingressclasses", "networking.k8s.io", namespaced=False)
INGRESS = Resource("Ingress", "ingresses", "networking.k8s.io")
HTTP_ROUTE = Resource("HTTPRoute", "httproutes", "gateway.networking.k8s.io")
DISRUPTION_BUDGET = Resource("PodDisruptionBudget", "poddisruptionbudgets", "policy")
CRD = Resource("CustomResourceDefinition", "customresourcedefinitions", "apiextensions.k8s.io", namespaced=False)
ACCESS_REVIEW = Resource(
    "SelfSubjectAccessReview", "selfsubjectaccessreviews", "authorization.k8s.io", namespaced=False
)
RULES_REVIEW = Resource("SelfSubjectRulesReview", "selfsubjectrulesreviews", "authorization.k8s.io", namespaced=False)
MUTATING_WEBHOOK = Resource(
    "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "admissionregistration.k8s.io", namespaced=False
)
VALIDATING_WEBHOOK = Resource(
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    "admissionregistration.k8s.io",
    namespaced=False,
)
RESOURCE_SLICE = Resource("ResourceSlice", "resourceslices", "resource.k8s.io", namespaced=False)
DEVICE_CLASS = Resource("DeviceClass", "deviceclasses", "resource.k8s.io", namespaced=False)
RESOURCE_CLAIM_TEMPLATE = Resource("ResourceClaimTemplate", "resourceclaimtemplates", "resource.k8s.io")
RESOURCE_CLAIM = Resource("ResourceClaim", "resourceclaims", "resource.k8s.io")
API_SERVICE = Resource("APIService", "apiservices", "apiregistration.k8s.io", namespaced=False)

DEPARTMENT = Resource("Department", "departments", "run.ai", namespaced=False)
PROJECT = Resource("Project", "projects", "run.ai", namespaced=False)
ACCESS_RULE = Resource("AccessRule", "accessrules", "run.ai", namespaced=False)
NODE_POOL = Resource("NodePool", "nodepools", "run.ai", namespaced=False)
WORKLOAD = Resource("Workload", "workloads", "run.ai")
WORKLOAD_KIND = Resource("WorkloadKind", "workloadkinds", "run.ai", namespaced=False)
RUNAI_CONFIG = Resource("RunaiConfig", "runaiconfigs", "run.ai")
QUEUE = Resource("Queue", "queues", "scheduling.run.ai", "v2", namespaced=False)
POD_GROUP = Resource("PodGroup", "podgroups", "scheduling.run.ai", "v2alpha2")
TOPOLOGY = Resource("Topology", "topologies", "kai.scheduler", "v1alpha1", namespaced=False)

TABLE: dict[tuple[str, str], Resource] = {
    (value.group, value.kind): value for value in list(globals().values()) if isinstance(value, Resource)
}
"""(group, kind) → resource."""


def resource_of(obj: Mapping[str, Any]) -> Resource:
    """The resource of a manifest by its ``apiVersion`` and ``kind``. Raises ``ValueError`` naming what is unknown."""
    api_version, kind = str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")
    group, _, version = api_version.rpartition("/")
    resource = TABLE.get((group, kind))
    if resource is None:
        raise ValueError(f"unknown kind {kind!r} in apiVersion {api_version!r}")
    if resource.version != version:
        return Resource(resource.kind, resource.plural, group, version, resource.namespaced)
    return resource
