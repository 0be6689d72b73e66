"""
How costs grow: with migrations, packs, tables, rows, bytes, files, processes and machines.

    make bench-scale                                # everything, in about twelve minutes; writes docs/explanation/scale.md
    python -m benchmarks.scale --only files         # measure one axis again and keep what is known of the others
    python -m benchmarks.scale --redraw             # plots and tables only, from the numbers of the last measurement

What is measured is stored in `docs/explanation/scale/measured.json`; plots and tables are made of that file alone. The modules:
`growing_packs`, `growing_databases` and `growing_fleets` do the work of each axis, `coordinator` measures the process that hands
out a fleet, `facts` single numbers; `axes` lists them all. `rounds` measures, `results` stores, `laws` fits, `drawing` draws,
`tables` and `paper` write the page's tables, `page` puts them there.
"""
