"""An image is named by its content."""

from __future__ import annotations

from pathlib import Path

from scripts.local.kubernetes import images

PYTHON = Path("/usr/bin/python3")


def _tree(folder: Path, content: str = "print(1)") -> Path:
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "main.py").write_text(content)
    (folder / "app" / "__pycache__").mkdir()
    (folder / "app" / "__pycache__" / "main.pyc").write_text(str(folder))
    return folder


def test_the_same_tree_gives_the_same_digest_wherever_it_is(tmp_path: Path) -> None:
    first = images.build(_tree(tmp_path / "one"), tmp_path / "store", PYTHON)
    second = images.build(_tree(tmp_path / "two"), tmp_path / "store", Path("/elsewhere/python"))
    assert first == second
    assert len(list((tmp_path / "store").iterdir())) == 1


def test_another_content_gives_another_digest(tmp_path: Path) -> None:
    first = images.build(_tree(tmp_path / "one"), tmp_path / "store", PYTHON)
    assert first != images.build(_tree(tmp_path / "two", "print(2)"), tmp_path / "store", PYTHON)
    assert first != images.build(tmp_path / "one", tmp_path / "store", PYTHON, env={"A": "b"})


def test_an_image_is_a_snapshot(tmp_path: Path) -> None:
    source = _tree(tmp_path / "source")
    digest = images.build(source, tmp_path / "store", PYTHON, paths=["app"])
    (source / "app" / "main.py").write_text("print('later')")
    image = images.load(tmp_path / "store", digest)
    assert image
    assert (image.app / "app" / "main.py").read_text() == "print(1)"


def test_an_image_that_was_never_built_is_not_there(tmp_path: Path) -> None:
    assert images.load(tmp_path, "sha256:" + "0" * 64) is None
