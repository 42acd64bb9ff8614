"""The table in other programs' formats, a module for each family of formats.

A text stands on one line there, without control characters; names never leave the folder they are put in.
"""
