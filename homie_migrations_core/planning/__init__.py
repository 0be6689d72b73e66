"""
Decide what a run would do, from values alone: packs, records and a target become states, plans or refusals.

The room knows which migration is late, edited or ahead (`states`), the state of each pack of a database (`status`), to
which pack the rows of an earlier tracking table belong (`ownership`), what runs before what (`ordering`), and what may be
applied (`applying`), rolled back (`rolling_back`) or changed in the tracking table (`records`). It reads no file, no
clock and no database: the same input gives the same plan or the same refusal. Reading packs is left to `packs/`, reading
records to `sqlite/`, carrying a plan out to `running/`. Callers import the functions from these modules.
"""
