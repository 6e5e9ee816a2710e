"""The group `telemetry`: what spans, metrics and scrapes cost the trip of a message. `traced_loads` has all of it.

Each run makes the trip with and without in turn, in one process, so that a ratio is of one moment of the machine.
"""
