"""Different ids, counted."""

from server.commands.send_stream import DistinctIds


def test_an_id_counts_once_however_often_it_comes() -> None:
    ids = DistinctIds()

    ids.add(["ann", "bob", "ann"])
    ids.add(["bob", "Ann", "ann ", "bób"])

    assert ids.count() == 5
    ids.close()


def test_nothing_counts_nothing() -> None:
    ids = DistinctIds()

    ids.add([])

    assert ids.count() == 0
    ids.close()
    ids.close()
