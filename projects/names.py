"""Names of departments, projects and namespaces, as Kubernetes and the label grammar need them. Pure."""

import re

from agent.wire.labels import NAMESPACE, project_namespace

NAME_ALLOWED = "lower-case letters, digits and dashes, starting with a letter and not ending with a dash"
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
MAX_NAME = 63 - len(project_namespace(""))
"""A namespace has at most 63 characters, and ours begins with ``runai-``."""
MAX_NAMESPACE = 63
RESERVED_NAMESPACES = frozenset({NAMESPACE, "default", "kube-system", "kube-public", "kube-node-lease"})


def name_error(name: str) -> str | None:
    """What is wrong with a department's or project's name; None when nothing is."""
    if not 1 <= len(name) <= MAX_NAME or not _NAME.fullmatch(name):
        return f"must have 1 to {MAX_NAME} {NAME_ALLOWED}"
    return None


def namespace_error(namespace: str) -> str | None:
    if not 1 <= len(namespace) <= MAX_NAMESPACE or not _NAMESPACE.fullmatch(namespace):
        return f"must have 1 to {MAX_NAMESPACE} lower-case letters, digits and dashes, none of them at an end"
    if namespace in RESERVED_NAMESPACES or namespace.startswith("kube-"):
        return "must not be a namespace of Kubernetes or of the platform"
    return None
