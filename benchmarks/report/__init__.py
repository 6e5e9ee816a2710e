"""The presentation of results: `tables`, `targets`, `slopes` and `plots`, and the page that shows them (`document`).

`results` finds the newest ones. Not here: measuring (`rounds`), and the data of a result (`figure`).
"""
