"""k-means: as tight as scikit-learn's, the same every time, and no trouble with odd keys."""

from __future__ import annotations

import numpy as np
import pytest

from qkv.attention import unit
from qkv.errors import InputError
from qkv.indexes.clusters import assign, cluster, cluster_count


def blobs(n, dimension=12, centres=40, seed=0):
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centres, dimension))
    keys = middle[rng.integers(centres, size=n)] + 0.3 * rng.normal(size=(n, dimension))
    return unit(keys.astype(np.float32))


def inertia(keys, clusters):
    return float(((keys - clusters.centroids[clusters.assignment]) ** 2).sum())


def test_as_tight_as_scikit_learn():
    reference = pytest.importorskip("sklearn.cluster")
    keys = blobs(6000)
    other = reference.MiniBatchKMeans(60, random_state=0, n_init=1).fit(keys)
    assert inertia(keys, cluster(keys, 60)) < 1.1 * other.inertia_


def test_each_key_is_with_its_nearest_centroid():
    keys = blobs(1000)
    clusters = cluster(keys, 20)
    apart = ((keys[:, None] - clusters.centroids) ** 2).sum(axis=2)
    near = np.take_along_axis(apart, clusters.assignment[:, None].astype(np.int64), axis=1)[:, 0]
    np.testing.assert_allclose(near, apart.min(axis=1), atol=1e-5)
    assert (assign(keys, clusters.centroids) == clusters.assignment).all()


def test_the_same_seed_gives_the_same_clusters():
    keys = blobs(2000)
    one, same, other = cluster(keys, 30, seed=1), cluster(keys, 30, seed=1), cluster(keys, 30)
    assert (one.assignment == same.assignment).all()
    assert (one.assignment != other.assignment).any()


def test_order_makes_clusters_contiguous():
    clusters = cluster(blobs(500), 9)
    ordered = clusters.assignment[clusters.order()]
    for c, (start, stop) in enumerate(zip(clusters.starts(), clusters.starts()[1:], strict=False)):
        assert (ordered[start:stop] == c).all()
    assert clusters.starts()[-1] == 500
    assert clusters.counts().sum() == 500


def test_keys_mapped_from_a_file(tmp_path):
    keys = blobs(3000)
    np.save(tmp_path / "keys.npy", keys)
    mapped = np.load(tmp_path / "keys.npy", mmap_mode="r")
    assert (cluster(mapped, 25).assignment == cluster(keys, 25).assignment).all()


def test_progress_ends_with_everything_done():
    seen = []
    cluster(blobs(1000), 10, progress=lambda done, total: seen.append((done, total)))
    done, totals = zip(*seen, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == totals[-1]
    assert len(set(totals)) == 1


@pytest.mark.parametrize("keys", [np.zeros((50, 4)), np.ones((3, 1)), np.zeros((0, 4))])
def test_keys_that_cannot_be_told_apart(keys):
    clusters = cluster(keys.astype(np.float32), 8)
    assert len(clusters.assignment) == len(keys)
    assert np.isfinite(clusters.centroids).all()
    assert 1 <= len(clusters) <= 8


def test_no_clusters_are_refused():
    with pytest.raises(InputError, match="1 cluster or more"):
        cluster(blobs(10), 0)


def test_more_keys_more_clusters():
    counts = [cluster_count(n, 256) for n in (0, 1, 100, 10_000, 1_000_000)]
    assert counts == sorted(counts)
    assert counts[0] == 1
