"""The studio: the whole way from a folder to a model, in a browser on one's own machine.

A page and a small server that answers to this machine alone. It trains nothing itself: each piece
of work is a process of its own (``worker``), which writes what happens into its folder as JSON
Lines; the page reads along. Whoever closes the browser, or the studio, finds all of it again.
"""
