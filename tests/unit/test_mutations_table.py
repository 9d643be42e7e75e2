"""The table of known defects fits the tree; that tests find them is shown by ``make test-mutations``."""

import pytest

from crawl_dev.mutations import ROOT, MutationStale, table

MUTATIONS = table()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_can_be_made_and_its_tests_are_there(mutation):
    sound = (ROOT / mutation.file).read_text()
    assert mutation.applied(sound) != sound
    assert mutation.breaks
    assert all((ROOT / file).is_file() for file in mutation.tests)


def test_names_are_distinct():
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


def test_a_mutation_whose_place_is_gone_or_no_longer_one_is_stale():
    mutation = MUTATIONS[0]
    for text in ("", mutation.old * 2):
        with pytest.raises(MutationStale, match=f"stands {text.count(mutation.old)} times"):
            mutation.applied(text)
