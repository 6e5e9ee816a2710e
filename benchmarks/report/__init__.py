"""The presentation of results: tables, targets and plots, and the page that shows them.

Not here: measuring (`rounds`), and the data of a result (`figure`).
"""
