"""A list of the console as somebody likes to see it: filters, order and columns under a name."""

from django.db import models
from django.db.models.functions import Lower

from access.models.user import User
from runai_cp.lib.models import BaseModel


class SavedView(BaseModel):
    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=64)
    """Key of the list, such as ``users``."""
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000, blank=True)
    """Query string of the list, without the page."""

    class Meta:
        constraints = [
            models.UniqueConstraint("owner", "page", Lower("name"), name="view_name_once_per_owner_and_page")
        ]

    def __str__(self) -> str:
        return self.name
