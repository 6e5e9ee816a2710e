"""Charts as SVG text, made here and not in the browser: `charts` over time, `gantt` of one message.

Colours and sizes of text are classes of the style sheet; a page's policy forbids styles in the markup. Not here: what is drawn.
"""
