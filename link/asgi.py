"""The link's own server: ``uvicorn link.asgi:app``. Long polls are held here; the console and REST live elsewhere."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runai_cp.settings")
django.setup()

from link.agent_api.app import LinkApp  # noqa: E402 (needs the settings)

app = LinkApp()
