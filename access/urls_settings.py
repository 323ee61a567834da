"""Console routes of the tenant's settings."""

from django.urls import URLPattern, path, re_path

from access.views import brand, settings

urlpatterns: list[URLPattern] = [
    path("settings/", settings.settings_show, name="settings"),
    path("settings/save", settings.settings_save, name="settings_save"),
    path("settings/branding/", brand.brand_show, name="brand"),
    path("settings/branding/save", brand.brand_save, name="brand_save"),
    re_path("^brand/logo/(?P<digest>[0-9a-f]{32})$", brand.brand_logo, name="brand_logo"),
    re_path("^brand/(?P<colour>[0-9a-f]{6})\\.css$", brand.brand_colours, name="brand_colours"),
    path("settings/sign-in/", settings.provider_list, name="provider_list"),
    re_path("^settings/sign-in/new/(?P<kind>oidc|saml)/$", settings.provider_create, name="provider_create"),
    path("settings/sign-in/<slug:alias>/", settings.provider, name="provider"),
    path("settings/sign-in/<slug:alias>/test", settings.provider_test, name="provider_test"),
    path("settings/sign-in/<slug:alias>/delete", settings.provider_delete, name="provider_delete"),
]
