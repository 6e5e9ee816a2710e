"""What pages are made of: each of these serves several pages, or is too much for the one that shows it.

- `page` is one page that is being made: what was asked for, the view, and what all pages have in common.
- `page_rows` are rows that several pages show; `texts` writes numbers, times and payloads.
- `seen` decides what of the record may be seen without the right to look at all types.
- `kept_form` is what was typed into a form that was refused.
- For the overview: `attention` (what an operator should look at first) and `graphs`; `figures` are counts that are compared.

Not here: the pages themselves (`perdure.console.pages`), the forms of bulk acts (`pages/bulk`), charts as SVG
(`perdure.console.drawing`).
"""
