"""Files are written whole or not at all."""

import pytest

from robojam.whole import whole


def test_what_was_written_takes_the_place_of_the_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with whole(path) as part:
        part.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("wrong", [ValueError, KeyboardInterrupt])
def test_on_an_error_what_was_there_stands_and_nothing_is_left(tmp_path, wrong):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def half() -> None:
        with whole(path) as part:
            part.write_text("half")
            raise wrong

    with pytest.raises(wrong):
        half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_can_be_written_it_says_so(tmp_path):
    with pytest.raises(FileNotFoundError), whole(tmp_path / "none" / "a.txt") as part:
        part.write_text("x")
