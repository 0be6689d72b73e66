"""
The commands of `homie migrations`, one module for each command or small family of commands.

A command is a function with the command's name. Its parameter `options` is annotated with the class of its options, and
its docstring is its help. None of them knows Typer: `typer_commands` makes Typer commands of them.
"""
