"""The web process: console and REST, served by gunicorn's gthread worker."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "runai_cp.settings")

application = get_wsgi_application()
