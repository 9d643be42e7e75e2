"""What host slots promise, tried on both: in memory and in Redis."""

from functools import partial

import pytest

from crawl_dedup import FLIGHT_MS, Asked, Go, Hold, Pace, Park, Ticket
from slot_worlds import memory_slot_world, redis_slot_world
from stories import in_a_world

HOST = "example.org"
#: One second between requests, one at a time, and two seconds may be held.
PACE = Pace(delay_ms=1000)
DAY_MS = 86_400_000


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def new_world(request):
    if request.param == "memory":
        return memory_slot_world
    return partial(redis_slot_world, request.getfixturevalue("fresh_redis"))


def about(expected_ms):
    """Within what a test itself may take."""
    return pytest.approx(expected_ms, abs=150)


def ticket(n):
    return Ticket(f"t{n}")


async def ask(world, n, pace=PACE, *, host=HOST, returned=False, look=False):
    return await world.slots.reserve(host, ticket(n), pace, returned=returned, look=look)


async def ended(world, n, *, host=HOST, since_answer_ms=0, latency_ms=0, clean=True, pushback_ms=None):
    await world.slots.settle(host, ticket(n), Asked(since_answer_ms, latency_ms, clean, pushback_ms))


async def asked(world, n, pace=PACE, **how):
    """A whole request, begun now."""
    assert await ask(world, n, pace) == Go()
    await ended(world, n, **how)


# the delay


@in_a_world
async def test_a_host_that_nobody_asks_may_be_asked_at_once(world):
    assert await ask(world, 1) == Go()
    assert await ask(world, 2, host="other.example") == Go()


@in_a_world
async def test_the_next_ones_line_up_one_delay_apart_and_the_rest_get_places_in_the_row(world):
    await asked(world, 1)
    answers = [await ask(world, n) for n in range(2, 7)]
    assert [type(answer) for answer in answers] == [Hold, Hold, Park, Park, Park]
    assert [answer.wait_ms for answer in answers] == [about(1000 * n) for n in range(1, 6)]


@in_a_world
async def test_a_reserved_slot_is_kept_until_its_time_and_no_go_comes_before(world):
    await asked(world, 1)
    await ask(world, 2)
    await world.passes(0.5)
    assert (await ask(world, 2)).wait_ms == about(500)
    assert isinstance(await ask(world, 3), Hold)
    await world.passes(0.5)
    assert await ask(world, 2) == Go()


@in_a_world
async def test_the_same_ticket_gets_the_same_answer_however_often_it_asks(world):
    assert await ask(world, 1) == Go()
    assert await ask(world, 1) == Go()
    for n in (2, 4):
        first = await ask(world, n)
        assert [(await ask(world, n)).wait_ms for _ in range(3)] == [about(first.wait_ms)] * 3
    assert (await ask(world, 5)).wait_ms == about(3000)


@in_a_world
async def test_all_consumers_share_the_slots(world):
    other = await world.another()
    await asked(world, 1)
    assert (await other.reserve(HOST, ticket(2), PACE)).wait_ms == about(1000)
    assert (await ask(world, 3)).wait_ms == about(2000)


@in_a_world
async def test_a_delay_below_the_round_trip_is_kept_too(world):
    quick = Pace(delay_ms=20)
    await asked(world, 1, quick)
    assert isinstance(await ask(world, 2, quick), Hold | Go)


@in_a_world
async def test_few_slots_of_one_host_are_reserved_ahead_however_short_its_delay(world):
    quick = Pace(delay_ms=100)
    answers = [await ask(world, n, quick) for n in range(20)]
    assert sum(isinstance(answer, Hold) for answer in answers) <= 9


@in_a_world
async def test_a_delay_longer_than_what_is_held_is_parked(world):
    slow = Pace(delay_ms=10_000)
    await asked(world, 1, slow)
    assert await ask(world, 2, slow) == Park(about(10_000))
    assert await ask(world, 3, slow) == Park(about(20_000))


@in_a_world
async def test_the_delay_counts_from_the_answer_not_from_go(world):
    assert await ask(world, 1) == Go()
    await world.passes(0.8)
    await ended(world, 1, since_answer_ms=100)
    await world.passes(0.3)
    assert (await ask(world, 2)).wait_ms == about(600)


# those who come back


@in_a_world
async def test_who_comes_back_in_time_is_served_before_whoever_is_new(world):
    for n in range(1, 6):
        await ask(world, n)
    await ended(world, 1)
    for n in (2, 3):
        await world.passes(1)
        assert await ask(world, n) == Go()
        await ended(world, n)
    await world.passes(1)
    assert isinstance(await ask(world, 99), Park)
    assert await ask(world, 4, returned=True) == Go()


@in_a_world
async def test_coming_back_late_is_no_harm_and_makes_no_burst(world):
    waits = [await ask(world, n) for n in range(1, 31)]
    assert isinstance(waits[-1], Park)
    await ended(world, 1)
    await world.passes(40)
    answers = [await ask(world, n, returned=True) for n in range(1, 31)]
    assert sum(answer == Go() for answer in answers) == 1
    assert sorted(a.wait_ms for a in answers if a != Go()) == [about(1000 * n) for n in range(1, 30)]


@in_a_world
async def test_who_comes_back_too_early_is_sent_back_for_the_rest_only(world):
    for n in range(1, 11):
        await ask(world, n)
    await world.passes(2)
    assert await ask(world, 10, returned=True) == Park(about(7000))


@in_a_world
async def test_a_row_that_nobody_comes_back_from_is_dropped(world):
    for n in range(1000):
        await ask(world, n)
    await ended(world, 0)
    assert (await ask(world, "a")).wait_ms > 900_000
    await world.passes(70)
    assert await ask(world, "b") == Go()


@in_a_world
async def test_a_row_is_kept_while_somebody_comes_back_from_it(world):
    for n in range(300):
        await ask(world, n)
    await ended(world, 0)
    for n in ("a", "b", "c", "d"):
        await world.passes(40)
        assert await ask(world, n, returned=True) == Go()
        await ended(world, n)
    assert isinstance(await ask(world, "new"), Park)


@in_a_world
async def test_what_is_given_back_can_be_had_by_another(world):
    await asked(world, 1)
    await ask(world, 2)
    await world.slots.give_back(HOST, ticket(2))
    assert (await ask(world, 3)).wait_ms == about(1000)
    await ask(world, 4)
    last = await ask(world, 5)
    await world.slots.give_back(HOST, ticket(5))
    assert (await ask(world, 6)).wait_ms == about(last.wait_ms)
    await world.slots.give_back(HOST, ticket("never seen"))


# in flight


@in_a_world
async def test_one_at_a_time_is_in_flight_and_who_waits_for_it_asks_again_soon(world):
    assert await ask(world, 1) == Go()
    await world.passes(1.5)
    answer = await ask(world, 2)
    assert isinstance(answer, Hold)
    assert 50 <= answer.wait_ms <= 1000
    await ended(world, 1, since_answer_ms=1500)
    assert await ask(world, 2) == Go()


@in_a_world
async def test_more_may_be_in_flight_where_the_crawl_says_so(world):
    two = Pace(delay_ms=100, in_flight=2)
    assert await ask(world, 1, two) == Go()
    await world.passes(0.2)
    assert await ask(world, 2, two) == Go()
    await world.passes(0.2)
    assert isinstance(await ask(world, 3, two), Hold)


@in_a_world
async def test_a_killed_consumers_place_in_flight_is_free_after_a_while(world):
    assert await ask(world, 1) == Go()
    await world.passes(FLIGHT_MS / 1000 - 1)
    assert isinstance(await ask(world, 2), Hold)
    await world.passes(1.1)
    assert await ask(world, 2) == Go()


@in_a_world
async def test_a_living_consumer_renews_its_place_in_flight(world):
    assert await ask(world, 1) == Go()
    await world.passes(10)
    assert await ask(world, 1) == Go()
    await world.passes(10)
    assert isinstance(await ask(world, 2), Hold)


@in_a_world
async def test_whoever_waits_too_long_for_a_place_in_flight_is_parked(world):
    assert await ask(world, 1) == Go()
    await world.passes(1)
    assert isinstance(await ask(world, 2), Hold)
    await world.passes(2.5)
    assert isinstance(await ask(world, 2), Park)


@in_a_world
async def test_giving_back_frees_the_place_in_flight_too(world):
    assert await ask(world, 1) == Go()
    await world.slots.give_back(HOST, ticket(1))
    await world.passes(1)
    assert await ask(world, 2) == Go()


# slow hosts


@in_a_world
async def test_a_slow_host_gets_a_delay_by_its_latency(world):
    gentle = Pace(delay_ms=100, latency_factor=2.0)
    await asked(world, 1, gentle, latency_ms=800)
    assert (await ask(world, 2, gentle)).wait_ms == about(1600)


@in_a_world
async def test_promises_allow_for_the_time_that_a_host_takes_to_answer(world):
    await asked(world, 1, latency_ms=500)
    waits = [(await ask(world, n)).wait_ms for n in range(2, 5)]
    assert waits == [about(1000), about(2250), about(3500)]


@in_a_world
async def test_the_latency_is_smoothed_and_a_failure_makes_no_host_faster(world):
    gentle = Pace(delay_ms=1, latency_factor=1.0, in_flight=2)
    await asked(world, 1, gentle, latency_ms=1000)
    await world.passes(3)
    await asked(world, 2, gentle, latency_ms=10, clean=False)
    assert (await ask(world, 3, gentle)).wait_ms == about(1000)
    await world.passes(3)
    assert await ask(world, 3, gentle) == Go()
    await ended(world, 3, latency_ms=200)
    await world.passes(3)
    await asked(world, 4, gentle, latency_ms=800)
    assert (await ask(world, 5, gentle)).wait_ms == about(800)


@in_a_world
async def test_one_time_out_does_not_silence_a_host_for_minutes(world):
    gentle = Pace(delay_ms=1000, latency_factor=5.0, in_flight=9)
    await asked(world, 1, gentle, latency_ms=60_000)
    assert (await ask(world, 2, gentle)).wait_ms == about(30_000)


# hosts that push back


@in_a_world
async def test_a_host_that_says_for_how_long_is_left_alone_for_so_long_by_everybody(world):
    other = await world.another()
    await asked(world, 1, pushback_ms=120_000)
    assert await ask(world, 2) == Park(about(120_000))
    assert await other.reserve(HOST, ticket(3), PACE) == Park(about(121_000))
    await world.passes(119)
    assert not isinstance(await ask(world, 2, returned=True), Go)
    await world.passes(1.1)
    assert await ask(world, 2, returned=True) == Go()


@in_a_world
async def test_a_reserved_slot_gives_way_to_a_push_back(world):
    assert await ask(world, 1) == Go()
    assert isinstance(await ask(world, 2), Hold)
    await ended(world, 1, pushback_ms=60_000)
    await world.passes(1)
    assert isinstance(await ask(world, 2), Park)


@in_a_world
async def test_nobody_is_left_alone_for_longer_than_a_day(world):
    await asked(world, 1, pushback_ms=10 * DAY_MS)
    assert (await ask(world, 2)).wait_ms == about(DAY_MS)
    await world.slots.block("far.example", 10 * DAY_MS)
    assert (await ask(world, 2, host="far.example")).wait_ms == about(DAY_MS)


async def quiet_ms(world, n):
    """How long the host is quiet after a push-back without a time; then that time passes."""
    await asked(world, n, pushback_ms=0)
    answer = await ask(world, f"look{n}")
    await world.slots.give_back(HOST, ticket(f"look{n}"))
    await world.passes(answer.wait_ms / 1000 + 0.01)
    return answer.wait_ms


@in_a_world
async def test_without_a_time_a_minute_doubles_to_a_day_with_jitter(world):
    waits = [await quiet_ms(world, n) for n in range(13)]
    for n, wait in enumerate(waits):
        plain = min(60_000 * 2**n, DAY_MS)
        assert plain - 200 <= wait <= plain * 1.1 + 200
    assert waits[-1] >= DAY_MS - 200


@in_a_world
async def test_push_backs_are_forgiven_after_half_an_hour_of_peace(world):
    for n in range(3):
        await quiet_ms(world, n)
    await world.passes(29 * 60)
    assert await quiet_ms(world, 3) > 400_000
    await world.passes(31 * 60)
    assert await quiet_ms(world, 4) <= 66_200


@in_a_world
async def test_push_backs_of_requests_in_flight_together_count_once(world):
    two = Pace(delay_ms=1, in_flight=2)
    for n in (1, 2):
        assert await ask(world, n, two) == Go()
        await world.passes(0.01)
    for n in (1, 2):
        await ended(world, n, pushback_ms=0)
    assert (await ask(world, 3)).wait_ms <= 66_200


@in_a_world
async def test_settling_twice_is_settling_once(world):
    await asked(world, 1, pushback_ms=0)
    await world.passes(70)
    await ended(world, 1, pushback_ms=0)
    assert await ask(world, 2) == Go()


@in_a_world
async def test_a_longer_block_stays(world):
    await world.slots.block(HOST, 60_000)
    await world.slots.block(HOST, 1000)
    assert (await ask(world, 1)).wait_ms == about(60_000)


# ugly hours


@in_a_world
async def test_a_clock_that_steps_back_neither_blocks_the_host_nor_makes_a_burst(world):
    for n in range(1, 20):
        await ask(world, n)
    await world.passes(-3600)
    answers = [await ask(world, n) for n in range(20, 25)]
    assert not any(answer == Go() for answer in answers)
    assert answers[0].wait_ms == about(1000)
    await world.passes(FLIGHT_MS / 1000 + 0.1)  # the flight of before is forgotten as ever
    assert await ask(world, 20) == Go()


@in_a_world
async def test_after_an_outage_there_is_one_request_at_a_time_and_a_delay_between(world):
    for n in range(10):
        await ask(world, n)
    await world.passes(1200)
    answers = [await ask(world, n, returned=True) for n in range(10)]
    assert sum(answer == Go() for answer in answers) == 1


@in_a_world
async def test_two_crawls_with_different_delays_share_a_host(world):
    slow, quick = Pace(delay_ms=1500), Pace(delay_ms=500)
    await asked(world, 1, slow)
    await ask(world, 2, slow)
    assert (await ask(world, 3, quick)).wait_ms > 1500


# looking, for who needs two keys


@in_a_world
async def test_who_looks_is_told_go_and_has_no_place_in_flight(world):
    assert await ask(world, 1, look=True) == Go()
    assert await ask(world, 1, look=True) == Go()
    assert (await ask(world, 2)).wait_ms == about(1000)
    await world.passes(0.4)
    assert await ask(world, 1) == Go()
    assert isinstance(await ask(world, 2), Hold)
    await ended(world, 1)
    assert (await ask(world, 2)).wait_ms == about(1000)


@in_a_world
async def test_the_delay_begins_with_the_request_and_not_with_the_look(world):
    await ask(world, 1, look=True)
    await ask(world, 2)
    await world.passes(1.5)
    await asked(world, 1)
    assert (await ask(world, 2)).wait_ms == about(1000)


@in_a_world
async def test_who_has_only_looked_keeps_nobody_from_his_own_slot(world):
    await ask(world, 1, look=True)
    assert (await ask(world, 2)).wait_ms == about(1000)
    await world.passes(1)
    assert await ask(world, 2) == Go()
    assert isinstance(await ask(world, 1), Hold)


@in_a_world
async def test_who_has_looked_and_gives_back_leaves_the_host_as_it_was(world):
    await ask(world, 1, look=True)
    await world.slots.give_back(HOST, ticket(1))
    assert await ask(world, 2) == Go()
