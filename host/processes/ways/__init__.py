"""Ways from this process to the owner: `way` by the socket in its folder, `database_way` through its database.

A way gives a connected socket; what is said over it, by which threads, is in `perdure.processes.to_owner.connection`.
"""
