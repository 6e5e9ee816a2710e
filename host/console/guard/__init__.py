"""What stands between a browser and the console: who asks, what that principal may do, and what a page may load.

`sessions` knows principals, forms and what was revealed to whom, in cookies that `seal` signs with the key that `keys` finds.
`gate` checks each request before a page sees it, and sets the headers of each answer; `permits` asks what a principal may do. Not
here: what an act does (`perdure.console.console_acts`).
"""
