"""The app's configuration, which Django finds by itself. It imports the handlers of all apps; nothing runs yet."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

__all__ = ["PerdureConfig"]


class PerdureConfig(AppConfig):
    """perdure in a Django project."""

    name = "perdure.integrations.django"
    label = "perdure"
    verbose_name = "perdure"

    def ready(self) -> None:
        """Import the module `handlers` of each app that has one."""
        autodiscover_modules("handlers")
