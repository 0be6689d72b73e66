"""
Decide what a run will do: packs, records and a target become states, plans and refusals.

Pure functions over frozen values: no file, no clock, no database.
"""
