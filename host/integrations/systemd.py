"""`notify`, for programs of a host that systemd runs with `Type=notify`; `perdure run` and `perdure serve` call it themselves."""

from perdure.runtime.process.service_manager import notify

__all__ = ["notify"]
