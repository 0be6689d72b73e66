"""
Tell whether a database is what its migrations say, without changing it.

The room knows which schema the migrations produce (`replay`, on a database in memory), how a real schema differs from it
(`drift`), what is wrong with the history and the schema of a database (`validation`), which version a database without
records has (`detection`), what difference a late or replaced migration makes (`refusals`), and how a schema is drawn
(`diagram`). What the records mean is left to `planning/`, reading a schema and comparing two of them to `sqlite/schema`,
a run on a copy of the real data to `running/rehearsal`.
"""
