"""All settings, from the environment. A bad value stops the start; no secret has a default.

What the environment does not say is looked for in ``$XROUTER_HOME/environment``, which ``make run``
writes: so ``manage.py`` talks to the running installation from any shell.
"""

import os
from ipaddress import ip_network
from pathlib import Path

import environ

from xrouter import navigation, production
from xrouter.schedules import Every

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
XROUTER_HOME = Path(env.str("XROUTER_HOME", default=str(BASE_DIR / ".xrouter")))
env.read_env(XROUTER_HOME / "environment")

# --- Secrets -----------------------------------------------------------------------------------
SECRET_KEY = env.str("XROUTER_SECRET_KEY")
# Earlier ones, which sign and encrypt nothing new: sessions and second factors of their time stay good.
SECRET_KEY_FALLBACKS = env.list("XROUTER_SECRET_KEY_FALLBACKS", default=[])
# Keys that encrypt vendor credentials: "id:base64-of-32-bytes", the first encrypts, all decrypt.
XROUTER_VAULT_KEYS = env.list("XROUTER_VAULT_KEYS")

# --- Servers -----------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL")}
# No connection outlives a request: none is held while a provider thinks.
DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"].setdefault("OPTIONS", {}).update(
    connect_timeout=2,
    # The last one: a process that is stopped in the middle of a transaction does not keep its locks for ever.
    options="-c statement_timeout=5000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=5000",
)
REDIS_URL = env.str("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "xrouter.caching.SharedCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "pages",
        # Seconds: a log-in asks some ten times, and does not wait long for a server that does not answer.
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    },
    "nowhere": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}

# --- Web ---------------------------------------------------------------------------------------
DEBUG = env.bool("XROUTER_DEBUG", default=False)
ALLOWED_HOSTS = env.list("XROUTER_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
# Addresses of reverse proxies whose X-Forwarded-For is believed; none by default.
XROUTER_TRUSTED_PROXIES = env.list("XROUTER_TRUSTED_PROXIES", default=[])
# Web processes that share each limit of rate while Redis is away.
XROUTER_WORKERS = env.int("XROUTER_WORKERS", default=os.cpu_count() or 1)
# Who may read /metrics: these networks, and whoever brings the token, if there is one.
XROUTER_METRICS_NETWORKS = env.list("XROUTER_METRICS_NETWORKS", default=["127.0.0.1/32", "::1/128"])
XROUTER_METRICS_TOKEN = env.str("XROUTER_METRICS_TOKEN", default="")
# Where web processes leave their figures for each other; without it each shows its own only.
XROUTER_METRICS_DIR = Path(text) if (text := env.str("XROUTER_METRICS_DIR", default="")) else None
# Inference requests pass beside Django; "0" sends them through Django REST framework.
XROUTER_EXPRESS = env.bool("XROUTER_EXPRESS", default=True)
# Where the machine is full, by the share of its time that a web process waits for a processor: there who asks
# far more often than others is asked to come later; 1: never.
XROUTER_FULL_AT = env.float("XROUTER_FULL_AT", default=0.15)
if not 0 <= XROUTER_FULL_AT <= 1:
    raise environ.ImproperlyConfigured("XROUTER_FULL_AT is a share, from 0 to 1")
# "auto": a twin stands in for each provider without credentials; "off": such a provider is silent.
XROUTER_TWINS = env.str("XROUTER_TWINS", default="auto")
if XROUTER_TWINS not in {"auto", "off"}:
    raise environ.ImproperlyConfigured("XROUTER_TWINS is «auto» or «off»")

ROOT_URLCONF = "xrouter.urls"
ASGI_APPLICATION = "xrouter.asgi.application"
STATIC_URL = "/static/"
STATIC_ROOT = XROUTER_HOME / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Beside each file a packed one, for whoever takes it.
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
APPEND_SLASH = True

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "xrouter.apps.PortalConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
    "auditlog",
    "waffle",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "accounts",
    "providers",
    "billing",
    "monitoring",
    "routing",
]

# The first and the last of these count what passes through Django; inference does not.
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "xrouter.languages.PagesLanguage",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.doorman.note_who_asks",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
# Seconds. Pages take some 10 to 100 ms; each bucket is a series for each page and method.
PROMETHEUS_LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.visits.told",
            ],
        },
    }
]

# --- The operators' portal -----------------------------------------------------------------------
UNFOLD = navigation.UNFOLD
# Roubles that one operator may move for one client in a day; more needs another one's signature.
XROUTER_SECOND_SIGNATURE_ABOVE = env.int("XROUTER_SECOND_SIGNATURE_ABOVE", default=100_000)
if XROUTER_SECOND_SIGNATURE_ABOVE < 0:
    raise environ.ImproperlyConfigured("XROUTER_SECOND_SIGNATURE_ABOVE is a number of roubles, 0 or more")
# The journal of changes; what is watched stands in xrouter/audited.py.
AUDITLOG_LOGENTRY_MODEL = "accounts.Change"
AUDITLOG_STORE_JSON_CHANGES = True
# Names outlive the rows they are of.
AUDITLOG_USE_FK_STRING_REPRESENTATION = True
# Switches: one that has no row is on, and no process keeps what another may have changed.
WAFFLE_SWITCH_MODEL = "accounts.Switch"
WAFFLE_SWITCH_DEFAULT = True
WAFFLE_ENABLE_ADMIN_PAGES = False
WAFFLE_CACHE_NAME = "nowhere"

# --- People ------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "accounts.signing_in.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "accounts.signing_in.SignInForm",
    "signup": "accounts.signing_up.SignUpForm",
    "change_password": "accounts.passwords.ChangeForm",
    "reset_password": "accounts.passwords.AskForm",
    "reset_password_from_key": "accounts.passwords.ResetForm",
}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_SIGNUP_FORM_HONEYPOT_FIELD = "website"
# Of those who signed up; an operator, who makes a login, knows the address: see accounts/signing_up.py.
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 3
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # in the browser that signed up, and in no other
ACCOUNT_PREVENT_ENUMERATION = True
# Django's own: allauth's makes rows that would tell of people that they signed up.
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"  # noqa: S105
PASSWORD_RESET_TIMEOUT = 2 * 3600
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]
ACCOUNT_RATE_LIMITS = {
    # Wrong passwords and codes in a minute and a quarter of an hour: of one source, and for one account.
    "login_failed": "10/m/ip,40/15m/ip,10/15m/key",
    # Forms that send letters: of one source, and to one address.
    "signup": "10/m/ip,30/h/ip",
    "confirm_email": "1/3m/key,6/d/key",
    "reset_password": "10/m/ip,30/h/ip,3/h/key",
    "invite": "10/m/user,60/d/user",
}
# Whether people may sign up by themselves. Who is invited into a client may in any case.
XROUTER_SIGN_UP = env.bool("XROUTER_SIGN_UP", default=not env.bool("XROUTER_HTTPS", default=False))
# Who runs the installation, as the texts that people agree to name him.
XROUTER_OPERATOR = env.str("XROUTER_OPERATOR", default="")
# Where customers pay to, as the page of an invoice's request shows it; empty: the operator sends an invoice.
XROUTER_OPERATOR_BANK = env.str("XROUTER_OPERATOR_BANK", default="")
MFA_ADAPTER = "accounts.second_factor.SecondFactorAdapter"
MFA_FORMS = {"activate_totp": "accounts.second_factor.ActivateForm"}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "XRouter"
MFA_TOTP_TOLERANCE = 1  # half a minute of a phone's clock; a code is good once all the same

# --- Language and time -------------------------------------------------------------------------
LANGUAGE_CODE = "ru"
LANGUAGES = [("ru", "Русский"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "xrouter.formats"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Europe/Moscow"

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Django REST framework ---------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "XRouter",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVERS": [{"url": "/", "description": "Эта установка"}],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": f"{STATIC_URL}pages/favicon.svg",
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "Как у OpenAI."},
            "apiKey": {
                "type": "apiKey",
                "in": "header",
                "name": "x-api-key",
                "description": "Как у Anthropic.",
            },
        }
    },
    "SECURITY": [{"bearer": []}, {"apiKey": []}],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "routing.schema.add_chat",
        "routing.embeddings.view.add_embeddings",
        "routing.key_schema.add_keys",
        "routing.schema.add_words",
        "routing.schema_answers.add_headers",
        "routing.schema_answers.share_refusals",
    ],
}

# --- Celery ------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = TIME_ZONE
DAY = 24 * 3600
CELERY_BEAT_SCHEDULE = {
    "reap-holds": {"task": "billing.tasks.reap_holds", "schedule": Every(15, 0)},
    "send-notices": {"task": "billing.tasks.send_notices", "schedule": Every(15, 5)},
    "watch-for-incidents": {"task": "routing.tasks.watch_for_incidents", "schedule": Every(20, 13)},
    "count-minutes": {"task": "routing.tasks.count_minutes", "schedule": Every(30, 10)},
    "probe-providers": {"task": "monitoring.tasks.probe_providers", "schedule": Every(60, 18)},
    "forget-contents": {"task": "routing.tasks.forget_contents", "schedule": Every(60, 26)},
    "send-alerts": {"task": "billing.tasks.send_alerts", "schedule": Every(60, 43)},
    "sum-up-usage": {"task": "billing.tasks.sum_up_usage", "schedule": Every(60, 48)},
    "audit-ledger": {"task": "billing.tasks.audit_ledger", "schedule": Every(300, 56)},
    "measure-densities": {"task": "routing.tasks.measure_densities", "schedule": Every(3600, 12 * 60 + 2)},
    "expire-proposals": {"task": "billing.tasks.expire_proposals", "schedule": Every(3600, 22 * 60 + 2)},
    "read-balances": {"task": "monitoring.tasks.read_balances", "schedule": Every(3600, 32 * 60 + 2)},
    "work-out-medians": {"task": "billing.tasks.work_out_medians", "schedule": Every(3600, 42 * 60 + 2)},
    # Of each day in UTC; in Moscow it is night.
    "forget-unconfirmed": {"task": "accounts.tasks.forget_unconfirmed", "schedule": Every(DAY, 3600 + 8)},
    "forget-old-probes": {"task": "monitoring.tasks.forget_old_probes", "schedule": Every(DAY, 3660 + 8)},
    "forget-notices": {"task": "billing.tasks.forget_notices", "schedule": Every(DAY, 3720 + 8)},
}

# --- Mail --------------------------------------------------------------------------------------
# Without a server letters go to the output of the process that writes them: web's or the worker's.
globals().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("XROUTER_MAIL_FROM", default="XRouter <xrouter@localhost>")
# Where links of letters lead, without a slash at the end. Unless set, to the host that was asked for them.
# Errors of the API have links only if it is set.
XROUTER_PUBLIC_URL = env.str("XROUTER_PUBLIC_URL", default="").rstrip("/")
if XROUTER_PUBLIC_URL and not XROUTER_PUBLIC_URL.startswith(("http://", "https://")):
    raise environ.ImproperlyConfigured("XROUTER_PUBLIC_URL is an address, as «https://xrouter.example»")
if "@" not in DEFAULT_FROM_EMAIL or not DEFAULT_FROM_EMAIL.isprintable():
    raise environ.ImproperlyConfigured("XROUTER_MAIL_FROM is an address, as «XRouter <mail@example.ru>»")

# --- Logs: one JSON object a line, never a prompt, an answer or a secret --------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "monitoring.logs.JsonFormatter"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json"},
        "nowhere": {"class": "logging.NullHandler"},
    },
    "root": {"handlers": ["stderr"], "level": env.str("XROUTER_LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"handlers": ["stderr"], "propagate": False},
        # Whoever looks for holes sends hosts of others: a 400 for him, and no page of our log.
        "django.security.DisallowedHost": {"handlers": ["nowhere"], "propagate": False},
    },
}

# --- Security ----------------------------------------------------------------------------------
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("XROUTER_HTTPS", default=False)
if SESSION_COOKIE_SECURE:
    if found := production.complaints(debug=DEBUG, hosts=ALLOWED_HOSTS, secret_key=SECRET_KEY):
        raise environ.ImproperlyConfigured(f"With XROUTER_HTTPS this is not safe. {'; '.join(found)}.")
    # TLS ends at the proxy. Without this, forms that came by HTTPS would look like another site's.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    # Seconds for which browsers ask for nothing by HTTP any more.
    SECURE_HSTS_SECONDS = 30 * 24 * 3600
    SILENCED_SYSTEM_CHECKS = [
        "security.W005",  # subdomains and
        "security.W021",  # preloaded lists are for the owner of the domain to decide
        "security.W008",  # the proxy redirects; a key that came by HTTP has been shown already
    ]
# Where the operators' portal is to be found; everywhere if none is named.
XROUTER_STAFF_NETWORKS = env.list("XROUTER_STAFF_NETWORKS", default=[])
# Networks that customers' webhooks may lead to although not public, also without TLS; none by default.
XROUTER_WEBHOOK_NETWORKS = env.list("XROUTER_WEBHOOK_NETWORKS", default=[])
for text in (*XROUTER_STAFF_NETWORKS, *XROUTER_WEBHOOK_NETWORKS):
    try:
        ip_network(text)
    except ValueError as exc:
        raise environ.ImproperlyConfigured(
            f"XROUTER_STAFF_NETWORKS and XROUTER_WEBHOOK_NETWORKS are networks: {exc}"
        ) from exc
# Whether staff need a second factor to open the portal. Who has one is asked for it in any case.
XROUTER_STAFF_SECOND_FACTOR = env.bool("XROUTER_STAFF_SECOND_FACTOR", default=SESSION_COOKIE_SECURE)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# What pages may load and do: our own files only, nothing inline. Images of styles may be in the style itself.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
