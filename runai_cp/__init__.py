"""The composition root: settings, URLs, Celery, tables. If you look for behaviour here, you are in the wrong room."""
