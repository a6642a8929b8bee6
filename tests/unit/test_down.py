"""`make down` leaves nothing behind."""

from pathlib import Path

import pytest

from local.down import down
from local.places import Places


def test_down_leaves_no_folder_behind(tmp_path: Path) -> None:
    places = Places(tmp_path)
    places.log("gateway").write_text("a line")
    for file in (places.tokens, places.stack_file, places.key, places.journal, places.applying):
        file.write_text("{}")
    (places.home / "picture.png").write_text("the documents have one written there")
    assert down(places) == "Down: everything is stopped."
    assert list(tmp_path.iterdir()) == []


def test_a_second_down_says_that_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = Places(tmp_path)
    places.log("gateway").write_text("a line")
    down(places)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "[1/2] stop 0 processes …", "it takes seconds, and is told at once"
    assert down(places) == "Nothing runs here: there was nothing to stop."
    assert capsys.readouterr().out == ""
