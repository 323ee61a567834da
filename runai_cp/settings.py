"""Everything from the environment, typed, failing loudly. Each variable has a row in README.md's settings table."""

from pathlib import Path

from csp.constants import NONE, SELF

from runai_cp.lib import env
from runai_cp.lib.openapi_parts import COMPONENTS

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env.flag("RUNAI_DEBUG")
LOCAL = env.flag("RUNAI_LOCAL")
"""True on the local stack: the console says there that the agent's roles run as processes."""
SECRET_KEY = env.secret("RUNAI_SECRET_KEY")
SIGNING_KEY = env.secret("RUNAI_SIGNING_KEY")
"""PEM of a P-256 private key: signs access tokens (ES256)."""
DATA_KEY = env.secret_bytes("RUNAI_DATA_KEY", 32)
"""Encrypts secrets at rest."""
ALLOWED_HOSTS = env.words("RUNAI_ALLOWED_HOSTS", "*")
"""The tenant middleware answers 404 for every host that is no tenant's; name hosts here to refuse others earlier."""
CSRF_TRUSTED_ORIGINS = env.words("RUNAI_TRUSTED_ORIGINS")
LINK_URL = env.text("RUNAI_LINK_URL", "https://127.0.0.1:8443")
ISSUER_URL = env.text("RUNAI_ISSUER_URL", "") or LINK_URL
"""Base of each tenant's OIDC issuer, which the link serves. Clusters trust it by this name: do not change it later."""
LINK_CA_FILE = env.text("RUNAI_LINK_CA_FILE", "")
ACCESS_TOKEN_SECONDS = env.integer("RUNAI_ACCESS_TOKEN_SECONDS", 3600, minimum=60)
PUBLIC_CONSOLE_URL = env.text("RUNAI_CONSOLE_URL", "")

# --- rooms: public schema and tenant schemas ---
SHARED_APPS = [
    "runai_cp.platform",  # before django_tenants, which ships a create_tenant command too
    "django_tenants",
    # Django's own permissions are not used; their tables sit in the public schema so that no tenant carries them.
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.staticfiles",
    "tenants",
    "series",
    "link",
    "runai_cp.lib",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "template_partials.apps.SimpleAppConfig",
    "csp",
]
TENANT_APPS = [
    "django.contrib.sessions",
    "access",
    "clusters",
    "projects",
    "workloads",
    "usage",
]
INSTALLED_APPS = SHARED_APPS + [app for app in TENANT_APPS if app not in SHARED_APPS]
TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
PUBLIC_SCHEMA_URLCONF = "runai_cp.urls_public"
ROOT_URLCONF = "runai_cp.urls"
SHOW_PUBLIC_IF_NO_TENANT_FOUND = False
WSGI_APPLICATION = "runai_cp.wsgi.application"

PLATFORM_HOST = env.text("RUNAI_PLATFORM_HOST", "").lower()
PLATFORM_CREDENTIALS_FILE = env.text("RUNAI_PLATFORM_CREDENTIALS_FILE", "")

MIDDLEWARE = [
    "runai_cp.platform.host.PlatformHostMiddleware",  # its host has no tenant
    "django_tenants.middleware.main.TenantMainMiddleware",  # nothing may query before the schema is known
    "tenants.middleware.TenantStateMiddleware",
    "runai_cp.lib.middleware.RequestFactsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "runai_cp.lib.middleware.PrivateAnswersMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "access.guard.GuardMiddleware",
    "runai_cp.lib.pages.ErrorPagesMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

# --- stores ---
DATABASES = {
    "default": {
        "ENGINE": "django_tenants.postgresql_backend",
        "CONN_MAX_AGE": env.integer("RUNAI_DATABASE_CONN_SECONDS", 300),
        "CONN_HEALTH_CHECKS": True,
        **env.database("RUNAI_DATABASE_URL"),
    }
}
# One SET search_path a schema switch instead of one a query; 4.0.1 forgets the path when a savepoint is rolled back.
TENANT_LIMIT_SET_CALLS = True
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.text("RUNAI_REDIS_URL", "redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_FUNCTION": "django_tenants.cache.make_key",
        "REVERSE_KEY_FUNCTION": "django_tenants.cache.reverse_key",
    }
}

# --- people ---
AUTH_USER_MODEL = "access.User"
SILENCED_SYSTEM_CHECKS = ["auth.W004"]  # the e-mail is unique without regard to case, by a constraint on Lower(email)
AUTHENTICATION_BACKENDS = ["access.auth.passwords.PasswordBackend"]
PASSWORD_HASHERS = ["access.auth.hashers.Argon2"]
BREACHED_PASSWORDS_FILE = env.text("RUNAI_BREACHED_PASSWORDS_FILE", "")
SSO_PRIVATE_ADDRESSES = env.flag("RUNAI_SSO_PRIVATE_ADDRESSES", default=LOCAL)
"""Whether an identity provider may be at an address that is not public: administrators type these addresses in."""
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "access.auth.breaches.BreachedPasswordValidator"},
]
LOGIN_URL = "/login/"
SESSION_COOKIE_AGE = env.integer("RUNAI_SESSION_SECONDS", 12 * 3600, minimum=60)
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_COOKIES = env.flag("RUNAI_SECURE_COOKIES", default=not (LOCAL or DEBUG))
# With the prefix a browser takes them from this very host alone: a tenant's neighbour on a sibling host plants none.
_HOST_ONLY = "__Host-" if SECURE_COOKIES else ""
SESSION_COOKIE_NAME = f"{_HOST_ONLY}runai_session"
CSRF_COOKIE_NAME = f"{_HOST_ONLY}runai_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
if SECURE_COOKIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = env.integer("RUNAI_HSTS_SECONDS", 31536000)
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- pages ---
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "access.context.console",
            ],
            "loaders": [
                (
                    "template_partials.loader.Loader",
                    [
                        (
                            "django.template.loaders.cached.Loader",
                            [
                                "django.template.loaders.filesystem.Loader",
                                "django.template.loaders.app_directories.Loader",
                            ],
                        )
                    ],
                )
            ],
            "builtins": ["template_partials.templatetags.partials", "django.templatetags.static"],
        },
    }
]
FILE_UPLOAD_HANDLERS = ["runai_cp.lib.uploads.SmallFiles"]
STATIC_URL = "/static/"
STATIC_ROOT = env.text("RUNAI_STATIC_ROOT", str(BASE_DIR / "staticfiles"))
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_MANIFEST = env.flag("RUNAI_STATIC_MANIFEST", default=False)
_STATIC_BACKEND = (
    "whitenoise.storage.CompressedManifestStaticFilesStorage"
    if STATIC_MANIFEST
    else "django.contrib.staticfiles.storage.StaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _STATIC_BACKEND},
}
WHITENOISE_USE_FINDERS = not STATIC_MANIFEST
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# --- REST ---
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["access.auth.bearer.BearerAuthentication", "access.auth.bearer.ConsoleSession"],
    "DEFAULT_PERMISSION_CLASSES": ["access.guard.DeclaredPermission"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["runai_cp.lib.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "runai_cp.lib.api.handle",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "runai_cp.lib.openapi.Schema",
}
API_RATES = {"read": 12_000, "write": 2_400, "token": 600}
"""Requests a minute: of one actor that read or write, and of one address that asks for tokens."""
SPECTACULAR_SETTINGS = {
    "TITLE": "runai REST API",
    "DESCRIPTION": "Clusters, departments, projects and workloads of one tenant.",
    "VERSION": "1",
    "SERVE_PERMISSIONS": ["access.guard.DeclaredPermission"],
    "SERVE_INCLUDE_SCHEMA": False,  # it describes the API, not itself: its `lang` would be a field that changes nothing
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "APPEND_COMPONENTS": COMPONENTS,
    "SCHEMA_PATH_PREFIX_TRIM": False,
}

# --- logs ---
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "runai_cp.lib.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": env.text("RUNAI_LOG_LEVEL", "INFO")},
    "loggers": {"django.request": {"level": "ERROR"}, "httpx": {"level": "WARNING"}},
}
