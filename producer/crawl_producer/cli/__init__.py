"""The commands: parse, build settings, call, return an exit code. Nothing imports them."""
