"""Files that appear whole or not at all, also several at once."""

import os
from pathlib import Path

import pytest

from packhorse.io.errors import WriteError
from packhorse.io.whole import must_be_writable, write_all, write_whole


def test_files_are_written_and_replaced(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "deep" / "two"
    write_all({one: b"1", two: b"2"})
    write_whole(one, b"3")
    assert (one.read_bytes(), two.read_bytes()) == (b"3", b"2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "one"]
    assert one.stat().st_mode & 0o777 == 0o666 & ~mask()


def mask() -> int:
    """What this process takes from the rights of new files."""
    found = os.umask(0)
    os.umask(found)
    return found


def test_one_that_fails_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    one, blocked = tmp_path / "one", tmp_path / "file" / "two"
    (tmp_path / "file").write_bytes(b"in the way")
    one.write_bytes(b"old")
    with pytest.raises(WriteError, match="cannot be written"):
        write_all({one: b"new", blocked: b"2"})
    assert one.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "one"]


def test_a_target_is_refused_beforehand(tmp_path: Path) -> None:
    must_be_writable(tmp_path / "deep" / "new" / "file")
    (tmp_path / "file").write_bytes(b"")
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "file" / "two", "may not be written")):
        with pytest.raises(WriteError, match=said):
            must_be_writable(path)
