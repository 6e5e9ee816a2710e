"""The applications that workers of peers import by name: `celery_app`, `dramatiq_app`, `huey_app`."""
