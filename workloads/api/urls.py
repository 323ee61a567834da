"""Routes of the workloads room's REST, below ``/api/``."""

from django.urls import path

from workloads.api import documents, effect, lists, manifests, native
from workloads.specs.request import DISTRIBUTED, INFERENCE, TRAINING, WORKSPACE

NATIVE = {"trainings": TRAINING, "distributed": DISTRIBUTED, "workspaces": WORKSPACE, "inferences": INFERENCE}

urlpatterns = [
    path("v1/org-unit/preview", effect.QuotaPreviewView.as_view()),
    path("v1/workloads", lists.WorkloadsView.as_view()),
    path("v1/workloads/count", lists.WorkloadsCountView.as_view()),
    path("v1/workloads/batch", documents.WorkloadBatchView.as_view()),
    path("v1/workloads/pods", lists.PodsView.as_view()),
    path("v1/workloads/pods/count", lists.PodsCountView.as_view()),
    path("v1/workloads/<uuid:workload_id>", lists.WorkloadView.as_view()),
    path("v1/workloads/<uuid:workload_id>/pods", lists.WorkloadPodsView.as_view()),
    path("v1/workloads/<uuid:workload_id>/events", lists.WorkloadEventsView.as_view()),
    path("v1/workloads/<uuid:workload_id>/history", lists.WorkloadHistoryView.as_view()),
    path("v1/workloads/<uuid:workload_id>/logs", documents.WorkloadLogsView.as_view()),
    path("v1/workloads/<uuid:workload_id>/yaml", documents.WorkloadYamlView.as_view()),
    path("v2/workloads", manifests.ManifestListView.as_view()),
    path("v2/workloads/<uuid:workload_id>", manifests.ManifestView.as_view()),
]
for plural, kind in NATIVE.items():
    one = f"v1/workloads/{plural}/<uuid:workload_id>"
    urlpatterns += [
        path(f"v1/workloads/{plural}", native.NativeListView.as_view(workload_type=kind)),
        path(one, native.NativeItemView.as_view(workload_type=kind)),
        path(f"{one}/suspend", native.NativeSuspendView.as_view(workload_type=kind)),
        path(f"{one}/resume", native.NativeResumeView.as_view(workload_type=kind)),
    ]
