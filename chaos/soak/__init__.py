"""The soak: hours of ordinary work with regular kills, counted and plotted.

`soak` works, `readings` measures, `trend` judges growth, `view` shows.
"""
