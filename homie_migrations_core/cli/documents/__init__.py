"""
The JSON documents of the commands: their types, and how values become them. Prints nothing.

Every command prints a `common.Document`. `catalog` lists what each command adds to it.
"""
