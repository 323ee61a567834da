"""The routes of the control plane, and a bare view of the users: what Django REST framework costs without us."""

from django.urls import path
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.guard import PUBLIC
from access.models import User
from runai_cp.urls import urlpatterns as routes


class UserRow(serializers.ModelSerializer):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ["id", "email", "name", "created_by", "created_at", "updated_at", "last_login", "is_local"]


class BareUsers(APIView):
    """No sign-in, no permission, no filters, no limits: rows to JSON."""

    authentication_classes = []
    permission_classes = []
    renderer_classes = [JSONRenderer]
    allow = {"GET": PUBLIC}

    def get(self, request: Request) -> Response:
        return Response(UserRow(User.objects.order_by("email")[:100], many=True).data)


urlpatterns = [*routes, path("bench/bare-users", BareUsers.as_view())]
