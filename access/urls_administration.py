"""Console routes of people's rights: programs that sign in, and the lists below Access."""

from django.urls import URLPattern, path

from access.views import programs

urlpatterns: list[URLPattern] = [
    path("authorize/", programs.authorize, name="authorize"),
    path("device/", programs.device, name="device"),
]
