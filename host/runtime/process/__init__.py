"""What a System has to do with the process around it: its signals, exit and forks, its interpreter's settings, its service manager.

Not here: the run of the actors (`engine`).
"""
