"""
The only room that imports `sqlite3`: connections, transactions, the tracking table, schemas, snapshots.

A database is opened here: for reading without changing a byte (`reader`), for change under the write lock (`writer`), as a
throw-away copy (`scratch`, `throwaway`), and at a glance (`database`). A migration gets a guarded connection (`guard`,
`guarded_transaction`, `authorizer`, `leftovers`). The room reads and writes the tracking table (`tracking`), says what a step
broke (`integrity`), reads and compares schemas (`schema`, `schema_objects`, `schema_comparison`), takes snapshots and restores them
(`snapshots`, `restoring`, `copying`), counts rows (`rows`) and names who holds a lock (`holders`). It does not know what should
be applied, what a pack ships, or how an error is shown.
"""
