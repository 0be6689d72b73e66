"""
What a pack is and where it comes from.

The room knows the rules for names (`naming`), a pack as its author defines it (`definition`), its files (`files`), how they
are read without running them (`reading`, `checksum`, `acceptance`) and loaded to be run (`loading`), the hooks
(`hookspecs`), the entry points of installed distributions (`discovery`), the calls of observers (`observers`), which packs
belong to a database (`selection`, `source`) and where that lies (`locations`). It opens no database; what should run is
left to `planning/`. The rooms above get `Pack` values from it, and packs that are broken with the reason.
"""
