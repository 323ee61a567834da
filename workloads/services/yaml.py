"""A workload as YAML, and YAML as a request."""

from access.grants import Actor
from projects.models import Project
from runai_cp.lib.errors import FieldError, Invalid
from workloads.models import Workload
from workloads.services.rows import spec_of
from workloads.services.submit import invalid
from workloads.specs.manifest import namespace_of, plain_manifest, read_manifest, to_yaml
from workloads.specs.problems import SpecError
from workloads.specs.request import SubmitRequest


def workload_yaml(workload: Workload) -> str:
    """The manifest as a person would apply it. The row's project must be loaded."""
    return to_yaml(plain_manifest(spec_of(workload), object_name=workload.name, namespace=workload.project.namespace))


def request_of_yaml(*, actor: Actor, text: str, project_id: str | None = None) -> SubmitRequest:
    """The request in a manifest; its project is the one given, else the one whose namespace it names.

    Raises ``Invalid`` on ``manifest`` or ``project_id``.
    """
    try:
        namespace = namespace_of(text)
        known = Project.objects.visible_to(actor)
        if project_id is None and namespace:
            found = known.filter(namespace=namespace).values_list("pk", flat=True)[:2]
            if len(found) != 1:
                raise Invalid(FieldError("project_id", "no project of yours has this namespace", namespace))
            project_id = str(found[0])
        return read_manifest(text, project_id=project_id or "", cluster_id=None)
    except SpecError as error:
        raise invalid(error) from error
