"""Counts of distinct ids."""

from server.commands.send_stream import DistinctIds


def test_a_repeated_id_counts_once() -> None:
    ids = DistinctIds()

    ids.add(["ann", "bob", "ann"])
    ids.add(["bob", "Ann", "ann ", "bób"])

    assert ids.count() == 5
    ids.close()


def test_no_ids_count_zero() -> None:
    ids = DistinctIds()

    ids.add([])

    assert ids.count() == 0
    ids.close()
    ids.close()
