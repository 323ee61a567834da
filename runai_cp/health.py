"""``/healthz``: can this process answer, and reach its database?"""

from django.db import connection
from django.http import HttpRequest, JsonResponse

from access.guard import PUBLIC, allow


@allow(PUBLIC)
def health(request: HttpRequest) -> JsonResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ok"})
