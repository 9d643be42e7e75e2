"""What can go wrong with private servers: one error, with its way out."""


class ServersError(Exception):
    """A server is missing, did not start, or did not do what was asked.

    Args:
        message: what happened, in one line.
        remedy: what the reader can do about it, in one line.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.remedy = remedy
