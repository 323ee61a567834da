"""The palette's answers: workloads, projects, departments, clusters and nodes by name, of what the person may see."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from access.guard import SIGNED_IN, allow
from clusters.models import Cluster, Node
from projects.models import Department, Project
from workloads.models import Workload

LIMIT = 5


@allow(SIGNED_IN)
@require_GET
def palette(request: HttpRequest) -> HttpResponse:
    """Up to five of each kind; without words the newest workloads and the first projects."""
    words, actor = request.GET.get("q", "").strip()[:100], request.actor  # type: ignore[attr-defined]
    workloads = Workload.objects.visible_to(actor).present().filter(name__icontains=words)
    named = {"scope__name__icontains": words}
    context = {
        "workloads": workloads.for_list().defer("request", "conditions", "spec").order_by("-created_at")[:LIMIT],
        "projects": Project.objects.visible_to(actor).filter(**named).with_names().order_by("scope__name")[:LIMIT],
    }
    if words:
        context |= {
            "departments": Department.objects.visible_to(actor).filter(**named).with_names()[:LIMIT],
            "clusters": Cluster.objects.visible_to(actor).filter(**named).with_name()[:LIMIT],
            "nodes": Node.objects.visible_to(actor).filter(name__icontains=words).order_by("name")[:LIMIT],
        }
    return render(request, "usage/_palette.html", context)
