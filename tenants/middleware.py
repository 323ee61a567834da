"""A suspended or half-made tenant answers nothing but a sentence that says so."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from tenants.models import TenantState

_SENTENCES = {
    TenantState.CREATING: "This tenant is being set up; try again in a minute.",
    TenantState.SUSPENDED: "This tenant is suspended; ask your provider.",
    TenantState.DELETING: "This tenant is being deleted.",
    TenantState.DELETED: "This tenant was deleted.",
}


class TenantStateMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        tenant = getattr(request, "tenant", None)
        sentence = _SENTENCES.get(getattr(tenant, "state", TenantState.READY))
        if sentence is None:
            return self.get_response(request)
        if request.path.startswith("/api/"):
            return JsonResponse({"code": 403, "message": sentence}, status=403)
        return HttpResponse(sentence, status=403, content_type="text/plain")
