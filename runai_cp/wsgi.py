"""The web process: console and REST, served by gunicorn's gthread worker."""

import os
from importlib import import_module

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runai_cp.settings")

application = get_wsgi_application()

# Makes ours the current Celery app: without it a nudge looks for a broker that is not there, for seconds.
import_module("runai_cp.celery")
