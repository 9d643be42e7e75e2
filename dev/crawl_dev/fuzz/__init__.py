"""Bytes that nobody thought of, for everything that reads what strangers write: ``make fuzz``.

``target.py`` says what a target is and the files beside it which there are, ``mutate.py`` changes bytes, ``trial.py``
tries them, ``session.py`` is a process that does so for a while, and ``__main__.py`` the command that starts one for
each target.
"""
