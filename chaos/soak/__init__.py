"""The soak: hours of ordinary work with regular kills, whose counts must add up and whose memory, files and threads must not grow.

`soak` is the run, `readings` measures, `trend` judges growth, `view` shows progress, the summary and the plot.

Not here: the kills themselves (`threads.monkey`) and the command (`cli.commands`).
"""
