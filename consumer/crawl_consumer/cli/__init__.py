"""The command: parse, build settings, call, return an exit code. Nothing imports it."""
