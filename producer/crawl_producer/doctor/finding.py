"""A finding: what was looked at, how it is, and what mends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  #: works, and may not go on doing so
    ERROR = "error"  #: URLs wait or are lost until somebody acts


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        level: how bad it is.
        subject: what it is about: ``redis``, ``rabbitmq``, ``topology``, a crawl, or a queue.
        text: what was found, in one line.
        remedy: what to do, in one line; empty where nothing is to be done.
        command: what does it, to be copied into a shell; empty where no command can.
    """

    level: Level
    subject: str
    text: str
    remedy: str = ""
    command: str = ""

    def as_dict(self) -> dict[str, str]:
        """For ``--json``."""
        return {
            "level": self.level.value,
            "subject": self.subject,
            "text": self.text,
            "remedy": self.remedy,
            "command": self.command,
        }


def worst(findings: Sequence[Finding]) -> Level:
    """The worst level among the findings; without any, all is well."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.ERROR, Level.WARNING) if level in levels), Level.OK)


def or_all_is_well(findings: Sequence[Finding], subject: str, text: str) -> list[Finding]:
    """The findings, or one line that says that there are none."""
    return list(findings) or [Finding(Level.OK, subject, text)]
