"""Commands on a whole queue of several partitions: `postgresql://…#QUEUE` without a number behind it.

Commands that look run for each partition in turn (`each_partition`). Commands that act reach the partition that has the message, or
all of them (`whole_queue`). Commands that write logs elsewhere do so log by log (`copied_queue`).

Not here: what a command does in one log.
"""
