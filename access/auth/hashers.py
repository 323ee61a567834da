"""How passwords are stored: argon2id with OWASP's first choice of parameters.

Django's own default asks for 100 MiB and eight lanes a check: ten times as long on two cores (342 ms against 33 ms
measured there), and eight checks at once would take 800 MiB. Hashes made with other parameters still match, and are
made anew at the next sign-in.
"""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """m = 19 MiB, t = 2, p = 1: OWASP Password Storage Cheat Sheet, section Argon2id."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
