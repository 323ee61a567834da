"""The tenant's picture in the console's head and on its sign-in page: at most one row."""

from django.db import models


class Logo(models.Model):
    digest = models.CharField(max_length=32, primary_key=True)
    """Of the content: part of its address, so that a browser keeps it for ever and a new one has another address."""
    media = models.CharField(max_length=20)
    content = models.BinaryField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.media} {self.digest}"
