"""Where a tenant's OIDC issuer is, and how its tokens are signed. Pure."""

ALGORITHM = "ES256"
PATH = "/oidc/"


def issuer_url(base: str, schema_name: str) -> str:
    """``https://link.example`` → ``https://link.example/oidc/t_…``. A schema's name is never given a second time, so
    no later tenant can become an issuer that some cluster still trusts."""
    return f"{base.rstrip('/')}{PATH}{schema_name}"
