"""Pure thinking about a workload: what was asked, is it sound, what does the cluster get, what may a report change.

No Django and no models here: everything is a function over frozen dataclasses and runs in a test without a database.
"""
