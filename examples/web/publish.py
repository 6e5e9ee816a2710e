"""Publish orders from a script, a cron job or another container that shares the folder.

python publish.py ORDER...
"""

import sys

from orders import FOLDER, Placed

import perdure

if __name__ == "__main__":
    with perdure.connect(FOLDER) as client:
        print(*client.publish_many([Placed(order) for order in sys.argv[1:]], ids=[f"order-{order}" for order in sys.argv[1:]]))
