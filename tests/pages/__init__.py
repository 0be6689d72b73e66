"""
The documentation pages as tests see them.

`reading` finds what is on a page, `running` types its commands, `generated` writes what the program knows better,
`pictures` draws what commands show at a terminal.
`python -m pages` in `tests/` (`make docs-update`) writes generated parts, outputs and pictures.
"""
