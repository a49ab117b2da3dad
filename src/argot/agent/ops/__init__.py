"""What nodes can do, a file each, found by file name.

Every file has `prepare(context)`, which runs before the parties agree and may refuse, and `execute(context)`, which
returns {object: (value, schema)}.
"""
