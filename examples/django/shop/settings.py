"""Settings of the shop. Those of perdure are at the end."""

import os
from pathlib import Path

BASE_DIR = Path(os.environ.get("SHOP_DATA", Path(__file__).parents[1]))
SECRET_KEY = "of an example"  # noqa: S105 - signs nothing here
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "shop.db",
        "OPTIONS": {"timeout": 60, "transaction_mode": "IMMEDIATE"},
    }
}
INSTALLED_APPS = ["perdure.integrations.django", "orders"]

PERDURE = {"FOLDER": BASE_DIR / "orders-data", "OUTBOX": ["default"]}
