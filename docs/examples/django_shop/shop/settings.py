"""Settings. The account comes from the environment: only a worker needs it."""

import os
from pathlib import Path

import django

BASE_DIR = Path(__file__).parents[1]
SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "only for this machine")
DEBUG = False
ALLOWED_HOSTS = ["localhost", "testserver"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DEFAULT_FROM_EMAIL = "Shop <shop@example.com>"

INSTALLED_APPS = [
    "shop",
    "poweremail.contrib.django",
    "poweremail.contrib.django.outbox",
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SHOP_DATABASE", BASE_DIR / "shop.sqlite3"),
        # A worker writes to it, too.
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}

BACKEND = "poweremail.contrib.django.OutboxEmailBackend"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": BACKEND}}
else:
    EMAIL_BACKEND = BACKEND

POWEREMAIL = {
    "WEBHOOK": {
        "URL": "https://shop.example.com/hooks/mail",
        "KEYS": os.environ.get("POWEREMAIL_WEBHOOK_KEY", "").split(),
        "SCHEME": "form-base64",
    }
}
