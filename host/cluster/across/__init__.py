"""What goes from one partition of a cluster to another: messages that handlers publish under a key or group of another partition.

`children` names and sends them; `waits` knows which handlers of this process wait for one another. Which partition a message
belongs to is in `perdure.cluster.routing`; when a worker sends them, in `perdure.actors.workers.gates`.
"""
