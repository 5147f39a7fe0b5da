"""Derived files: the same records in another order, or nothing at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from qkv.derived import Image, arranged, discard, load, save
from qkv.snapshot import Snapshot
from qkv.tables import Tables
from qkv.types import Metric

N, D = 300, 8


def filled(path=None, *, values=7, seed=0):
    """Tables with records whose values repeat, or are all distinct."""
    rng = np.random.default_rng(seed)
    tables = Tables(path)
    vectors = rng.standard_normal((N, D)).astype("<f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[5] = 0  # of which the encoder understood nothing
    texts = [("text", f"v{i % values}") for i in range(N)]
    tables.put([f"k{i}" for i in range(N)], texts, [v.tobytes() for v in vectors], lambda _: [])
    return tables


def content(snapshot):
    """Live records as {id: (value, key)}."""
    rows = snapshot.index.live(np.arange(len(snapshot.index)))
    groups = snapshot.group_ids()
    return {
        int(snapshot.records[row]): (snapshot.distinct[int(groups[row])], tuple(key))
        for row, key in zip(rows, snapshot.index.vectors(rows).tolist(), strict=True)
    }


def read(tables):
    return Snapshot.blank().advance(tables, Metric.COSINE)


@pytest.fixture(params=[7, N], ids=["repeated values", "distinct values"])
def tables(request):
    tables = filled(values=request.param)
    yield tables
    tables.close()


@pytest.fixture
def image(tmp_path):
    return Image(tmp_path, "stamp", "encoder", "cosine")


def kept(snapshot, image):
    folder = image.folder / "image-making"
    folder.mkdir()
    done = arranged(snapshot, None, folder)
    save(done, image, folder)
    return done


def test_arranging_changes_the_order_alone(tables) -> None:  # type: ignore[no-untyped-def]
    before = read(tables)
    after = arranged(before, None)
    assert content(after) == content(before)
    assert after.all_distinct == before.all_distinct
    assert len(after) == len(before) == N - 1
    ids = np.array([1, 2, 3, 17])
    assert after.records[after.rows(ids)].tolist() == sorted(
        ids.tolist(), key=lambda i: int(np.flatnonzero(after.records == i)[0])
    )
    assert int(after.counts.sum()) == N - 1


def test_an_image_is_read_as_it_was_written(tables, image) -> None:  # type: ignore[no-untyped-def]
    before = read(tables)
    kept(before, image)
    after = load(image, tables.version())
    assert after is not None
    assert content(after) == content(before)
    assert after.version == before.version
    query = np.ones((1, D), dtype=np.float32)
    rows, scores = after.index.neighbours(query, 5)
    others, same = before.index.neighbours(query, 5)
    assert after.records[rows].tolist() == before.records[others].tolist()
    assert scores == pytest.approx(same)


def test_an_image_catches_up_with_the_tables(tables, image) -> None:  # type: ignore[no-untyped-def]
    kept(read(tables), image)
    rng = np.random.default_rng(1)
    for i in range(0, 60, 2):
        tables.pop(f"k{i}")
    for i in range(1, 60, 2):
        vector = rng.standard_normal(D).astype("<f4").tobytes() if i % 3 else None
        tables.put([f"k{i}"], [("text", f"new {i % 5}")], [vector], lambda _: [])
    fresh = [rng.standard_normal(D).astype("<f4").tobytes() for _ in range(40)]
    tables.put([f"n{i}" for i in range(40)], [("text", "v1")] * 40, list(fresh), lambda _: [])
    found = load(image, tables.version())
    assert found is not None
    after, anew = found.advance(tables, Metric.COSINE), read(tables)
    assert content(after) == content(anew)
    ids = np.sort(anew.records[anew.index.live(np.arange(len(anew.index)))])
    assert np.sort(after.records[after.index.live(after.rows(ids))]).tolist() == ids.tolist()
    numbers = {after.distinct[i]: n for i, n in enumerate(after.counts.tolist()) if n}
    numbers.pop("v5", None)  # the record that nothing was understood of counts in one, not there
    for i, n in enumerate(anew.counts.tolist()):
        if n and anew.distinct[i] != "v5":
            assert numbers[anew.distinct[i]] == n


def test_what_was_not_written_to_the_end_is_not_read(tables, image) -> None:  # type: ignore[no-untyped-def]
    kept(read(tables), image)
    paths = sorted(image.path.iterdir())
    assert len(paths) > 10
    for path in paths:
        whole = path.read_bytes()
        for spoilt in (b"", whole[:-1], whole[: len(whole) // 2], whole[:-3] + b"\0\1\2"):
            path.write_bytes(spoilt)
            assert load(image, tables.version()) is None, path.name
        path.unlink()
        assert load(image, tables.version()) is None, path.name
        path.write_bytes(whole)
    assert load(image, tables.version()) is not None


@pytest.mark.parametrize(
    "other",
    [
        {"stamp": "another"},
        {"encoder": "another"},
        {"metric": "dot"},
    ],
)
def test_an_image_of_something_else_is_not_read(tables, image, other, tmp_path) -> None:  # type: ignore[no-untyped-def]
    kept(read(tables), image)
    asked = Image(**{**image.__dict__, **other})
    if asked.path != image.path:
        shutil.copytree(image.path, asked.path)
    assert load(asked, tables.version()) is None


def test_an_image_from_the_future_is_not_read(tables, image) -> None:  # type: ignore[no-untyped-def]
    done = kept(read(tables), image)
    assert load(image, done.version - 1) is None


def test_images_that_are_not_kept_are_deleted(tmp_path: Path) -> None:
    for name in ("image-a", "image-b", "image-making-x"):
        (tmp_path / "s-index" / name).mkdir(parents=True)
    discard(tmp_path / "s-index", keep=tmp_path / "s-index" / "image-b")
    assert [p.name for p in (tmp_path / "s-index").iterdir()] == ["image-b"]
    discard(tmp_path / "s-index")
    assert not (tmp_path / "s-index").exists()


def test_progress_goes_up_to_the_end(tables) -> None:  # type: ignore[no-untyped-def]
    seen: list[int] = []
    arranged(read(tables), None, progress=lambda done, total: seen.append(done * 1000 // total))
    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] <= 1000
