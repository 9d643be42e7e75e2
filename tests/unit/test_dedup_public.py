"""What crawl_dedup offers is what it lists, and everything listed is there and explained."""

import crawl_dedup


def test_the_public_names_are_listed_and_explained():
    assert len(crawl_dedup.__all__) == len(set(crawl_dedup.__all__))
    for name in crawl_dedup.__all__:
        thing = getattr(crawl_dedup, name)
        if callable(thing):
            assert thing.__doc__, name


def test_every_public_name_of_the_package_is_listed():
    modules = {name for name, value in vars(crawl_dedup).items() if type(value).__name__ == "module"}
    public = {name for name in vars(crawl_dedup) if not name.startswith("_")} - modules
    assert public == set(crawl_dedup.__all__)
