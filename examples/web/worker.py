"""Run the worker beside a web server: it owns the folder and handles what the web processes publish.

perdure run worker:system
"""

from charging import handlers
from orders import FOLDER

import perdure

system = perdure.System(FOLDER, shared=True)
system.include(handlers)
