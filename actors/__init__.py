"""The actors: one file each, each a thin shell round the pure rules of `perdure.events`.

No rule about messages lives in this room, and nothing here imports the front door.
"""
