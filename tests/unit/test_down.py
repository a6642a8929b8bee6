"""`make down` leaves nothing behind."""

from pathlib import Path

from local.down import down
from local.places import Places


def test_down_leaves_no_folder_behind(tmp_path: Path) -> None:
    places = Places(tmp_path)
    places.log("gateway").write_text("a line")
    for file in (places.tokens, places.stack_file, places.key, places.journal, places.applying):
        file.write_text("{}")
    (places.home / "picture.png").write_text("the documents have one written there")
    down(places)
    down(places)
    assert list(tmp_path.iterdir()) == []
