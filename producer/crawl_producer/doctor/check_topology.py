"""RabbitMQ against exchanges.yaml: what is missing, and what is there in another form."""

from collections.abc import Iterator

from crawl_producer.declarations import Exchange, State
from crawl_producer.doctor.finding import Finding, Level, or_all_is_well
from crawl_producer.plan import Plan, Step

SUBJECT = "topology"
#: Missing things that are named; the rest is counted.
NAMED = 5


def check(plan: Plan) -> list[Finding]:
    """The drift, or that there is none."""
    found = [*_missing(plan.in_state(State.MISSING)), *map(_different, plan.in_state(State.DIFFERENT))]
    return or_all_is_well(found, SUBJECT, f"{len(plan.steps)} exchanges and queues are as the file says")


def not_compared(because: str) -> Finding:
    """What to say when RabbitMQ does not let us: comparing arguments means to declare what is there already."""
    return Finding(
        Level.WARNING,
        SUBJECT,
        f"RabbitMQ cannot be compared with the file: {because}",
        "look as a user with the configure permission (CRAWL_RABBITMQ_USERNAME)",
        "crawl-topology check --live",
    )


def _missing(steps: tuple[Step, ...]) -> Iterator[Finding]:
    if steps:
        named = ", ".join(step.thing.name for step in steps[:NAMED])
        more = f" and {len(steps) - NAMED} more" if len(steps) > NAMED else ""
        yield Finding(
            Level.ERROR,
            SUBJECT,
            f"RabbitMQ lacks {named}{more}; what a deleted queue held is gone with it",
            "make them, then publish again what was lost: crawl-doctor --repair",
            "crawl-topology apply",
        )


def _different(step: Step) -> Finding:
    kind = "exchange" if isinstance(step.thing, Exchange) else "queue"
    return Finding(
        Level.ERROR,
        SUBJECT,
        f"{kind} {step.thing.name} is there in another form: {step.detail}",
        "arguments never change: let it run empty, delete it, apply; or let the file say what is there",
        f"rabbitmqctl delete_queue {step.thing.name} && crawl-topology apply" if kind == "queue" else "",
    )
