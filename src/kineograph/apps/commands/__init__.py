"""The commands, one function each: what its arguments are, what it asks of the API, its answer.

A function's signature and docstring are all that `cli` needs to read its words and to print its
help. Whatever takes time to import is imported inside, after the checks that cost nothing.
"""
