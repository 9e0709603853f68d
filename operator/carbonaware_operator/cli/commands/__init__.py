"""The commands: options, arguments and what is printed. Each is imported only when it is called.

May import everything of `cli`. What a command answers is made beside this folder, without click.
"""
