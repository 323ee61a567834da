"""The web process: console and REST, served by gunicorn's gthread worker."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from runai_cp.lib.garbage import settle

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runai_cp.settings")

application = get_wsgi_application()

# Makes ours the current Celery app: without it a nudge looks for a broker that is not there, for seconds.
import_module("runai_cp.celery")
import_module(settings.ROOT_URLCONF)  # else the first request loads every view, after the collector has settled
settle()
