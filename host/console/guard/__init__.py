"""The checks between a browser and the console: the principal of a request, its rights, and what a page may load.

`sessions` keeps principals, tokens of forms and revealed types in cookies, which `seal` signs with the key of `keys`. `gate`
checks each request before a page sees it, and sets the headers of each answer. `permits` answers what a principal may do. Not here:
what an act does (`perdure.console.console_acts`).
"""
