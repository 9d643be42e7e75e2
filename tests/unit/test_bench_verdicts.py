"""What the benchmarks make of their figures: whether a run counts, medians, ratios, targets."""

import pytest
import scale_seeds
from compare import TARGETS, Results, report
from measured import Run
from verdicts import Spread, Target, agreed, complaint, spread

SITE = frozenset({"/copy0/a", "/copy0/b", "/copy1/a", "/copy1/b"})
START_UP = Run(frozenset({"/single/"}), 1, 0.0, 0.5, {})


def a_run(paths=SITE, *, seconds=2.0, cpu_s=0.9, requests=None):
    return Run(paths, requests or len(paths), seconds, cpu_s, {"rabbit1": 0.2, "redis": 0.1, "nginx": 0.1})


def test_the_site_is_what_more_than_half_asked_for():
    assert agreed([SITE, SITE, SITE - {"/copy0/b"}]) == SITE
    assert agreed([SITE, SITE, SITE | {"/copy0/wrong"}]) == SITE
    assert agreed([SITE, frozenset()]) == frozenset()


def test_a_run_counts_only_with_exactly_the_expected_pages():
    assert complaint(SITE, SITE) == ""
    assert complaint(SITE - {"/copy0/b", "/copy1/b"}, SITE) == "skipped 2 pages, such as /copy0/b"
    assert complaint(SITE - {"/copy0/b"} | {"/x"}, SITE) == (
        "skipped 1 pages, such as /copy0/b; asked besides for 1 pages, such as /x"
    )


def test_a_run_that_skipped_pages_is_reported_and_has_no_figures():
    runs = {name: a_run() for name in ("lean", "bare", "celery")} | {"crawlmq": a_run(SITE - {"/copy1/a"})}
    results = Results()
    results.judge(0, runs, dict.fromkeys(runs, START_UP), slow=[])
    assert set(results.rounds) == {"lean", "bare", "celery"}
    assert results.complaints == ["crawlmq, round 1: skipped 1 pages, such as /copy1/a"]
    assert "Does not count: crawlmq, round 1" in report(results, {"lean": "lean loop"}, [])


def test_a_slow_contender_must_have_fetched_its_one_copy():
    # The manual has dead links that lead out of its folder: they are everybody's.
    site, part = SITE | {"/", "/dead"}, frozenset({"/copy0/a", "/copy0/b", "/dead"})
    runs = {"lean": a_run(site), "bare": a_run(site), "scrapy": a_run(part), "crawlee": a_run(part - {"/copy0/a"})}
    results = Results()
    results.judge(2, runs, dict.fromkeys(runs, START_UP), slow=["scrapy", "crawlee"])
    assert set(results.rounds) == {"lean", "bare", "scrapy"}
    assert results.complaints == ["crawlee, round 3: skipped 1 pages, such as /copy0/a"]


def test_start_up_is_taken_off_and_pages_asked_for_twice_count_once_in_the_rate():
    results = Results()
    results.judge(0, {"lean": a_run(requests=8)}, {"lean": START_UP}, slow=[])
    figures = results.rounds["lean"][0]
    assert figures["pages_per_s"] == pytest.approx(2.0)
    assert figures["cpu_ms"] == pytest.approx((0.9 - 0.5) * 1000 / 4)


def test_a_ratio_is_the_median_of_the_rounds_that_both_have():
    target = Target("ours", "theirs", "pages_per_s", 2.0)
    ours = {n: {"pages_per_s": rate} for n, rate in enumerate((100.0, 220.0, 300.0))}
    theirs = {n: {"pages_per_s": 100.0} for n in (0, 1, 2)}
    ratio = target.ratio({"ours": ours, "theirs": theirs})
    assert ratio == Spread(pytest.approx(2.2), pytest.approx(1.0), pytest.approx(3.0))
    assert target.verdict(ratio) == "met"
    del ours[2]
    assert target.verdict(target.ratio({"ours": ours, "theirs": theirs})) == "**missed**"


@pytest.mark.parametrize(("cost", "verdict"), [(1.34, "met"), (1.36, "**missed**")])
def test_of_a_cost_less_is_better(cost, verdict):
    target = Target("ours", "theirs", "cpu_ms", 1.35)
    ratio = target.ratio({"ours": {0: {"cpu_ms": cost}}, "theirs": {0: {"cpu_ms": 1.0}}})
    assert target.verdict(ratio) == verdict


def test_without_a_round_in_common_there_is_no_ratio_and_no_verdict():
    target = Target("ours", "theirs", "cpu_ms", 1.35)
    assert target.ratio({"ours": {0: {"cpu_ms": 1.0}}, "theirs": {1: {"cpu_ms": 1.0}}}) is None
    assert target.verdict(None) == "not measured"


def test_a_spread_tells_median_and_range():
    rounds = {n: {"cpu_ms": cost} for n, cost in enumerate((3.0, 1.0, 2.0))}
    assert spread(rounds, "cpu_ms").text(".1f") == "2.0 (1.0 … 3.0)"


def test_the_report_names_every_target_and_what_the_cores_can_do():
    one = {"pages_per_s": 300.0, "cpu_ms": 2.0, "rabbit1_cpu_ms": 0.3, "redis_cpu_ms": 0.1, "nginx_cpu_ms": 0.1}
    results = Results({"crawlmq": {0: one}, "crawlmq2": {0: one | {"pages_per_s": 510.0}}})
    text = report(results, {"crawlmq": "CrawlMQ, one process", "lean": "lean loop"}, ["On a machine."])
    assert text.startswith("On a machine.")
    assert "| CrawlMQ, one process | 1 | 300 (300 … 300) | 2.00" in text
    assert "lean loop" not in text
    assert "| crawlmq2 / crawlmq: pages/s | ≥ 1.6 | 1.70 (1.70 … 1.70) | met |" in text
    assert text.count("not measured") == len(TARGETS) - 1
    assert "costs 2.50 ms of CPU in all" in text


def seeding(*rates, plain):
    def rounds(*values):
        return {n: dict.fromkeys(scale_seeds.COLUMNS, value) for n, value in enumerate(values)}

    every = {scale_seeds.NEW: rounds(*rates), scale_seeds.PLAIN: rounds(*plain), scale_seeds.KNOWN: rounds(*rates)}
    return scale_seeds.report(every).rsplit("\n\n", 1)[1]


def test_seeds_are_judged_by_their_median_and_set_beside_a_plain_publisher_of_the_same_round():
    said = "18,000 (15,000 … 21,000) new URLs a second; target ≥ 20,000: **missed**."
    said += " Of the plain publisher's rate: 0.60 (0.50 … 0.70)."
    assert seeding(15_000, 18_000, 21_000, plain=(30_000, 30_000, 30_000)) == said
    assert ": met. Of the plain publisher's rate: 0.50 (" in seeding(20_000, plain=(40_000,))
