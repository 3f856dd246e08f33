"""What a service remembers does not grow with what it has seen."""

import pytest

from oracle.newest import Newest


@pytest.mark.parametrize("put", ["set", "default"])
def test_the_oldest_is_forgotten(put):
    kept = Newest(3)
    for at in range(5):
        if put == "set":
            kept[at] = str(at)
        else:
            assert kept.setdefault(at, str(at)) == str(at)
    assert dict(kept) == {2: "2", 3: "3", 4: "4"}
    assert 1 not in kept and kept.get(1) is None


def test_what_is_put_again_is_new():
    kept = Newest(2)
    kept[1], kept[2], kept[1], kept[3] = "a", "b", "c", "d"
    assert dict(kept) == {1: "c", 3: "d"}
