"""Names the app; its tables live in the public schema."""

from django.apps import AppConfig


class LinkConfig(AppConfig):
    name = "link"
    default_auto_field = "django.db.models.BigAutoField"
