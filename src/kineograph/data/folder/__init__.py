"""A person's own clips: how they lie in a folder, and how they come into one size and speed.

An `entry` is a clip as a folder names it; `layouts` finds them in any of the usual arrangements.
`conform` decodes one, `workers` many; `packing` writes what came out, `cache` reads it, and `check`
tells what became of each.
"""
