"""Pictures: what they show, that it can be read, and that files are the same every time."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.text import Annotation

import qkv
from qkv import errors, plots
from qkv.calibration import Reliability, prior
from qkv.demo import CAPITALS, RECORDS
from qkv.plots.coordinates import Method, coordinates, pca
from qkv.plots.lettering import lettering, one_line

PICTURES = Path(__file__).parents[1] / "docs/pictures"
SENTENCES = {"Where is the world cup?": "Qatar", "What color is the sky?": "blue", "Apples": "red"}


@pytest.fixture(scope="module")
def sentences() -> qkv.Database:
    return qkv.Database(SENTENCES, encoder="hashing")


@pytest.fixture(scope="module")
def words() -> qkv.Database:
    values = {**dict.fromkeys(CAPITALS, "country"), **dict.fromkeys(CAPITALS.values(), "capital")}
    return qkv.Database(values, encoder="hashing")


def texts(figure: Figure) -> list[str]:
    """All that is written on the first axes, the axes' own texts apart."""
    return [text.get_text() for text in figure.axes[0].texts]


def names(labels) -> list[str]:
    return [label.get_text() for label in labels]


# ── the heat map ─────────────────────────────────────────────────────────────────────────────


def test_heatmap_names_rows_and_columns_and_numbers_cells(sentences):
    figure = plots.heatmap(sentences.similarity(["sky", "apple"]))
    ax, bar = figure.axes
    assert names(ax.get_yticklabels()) == ["sky", "apple"]
    assert names(ax.get_xticklabels()) == list(SENTENCES)
    assert bar.get_ylabel() == "cosine similarity"
    expected = [f"{score:.2f}".replace("-", "−") for score in np.ravel(ax.images[0].get_array())]
    assert texts(figure)[:6] == expected
    assert ax.get_title("left") == "How alike 2 queries and 3 keys are"


def test_heatmap_uses_the_same_colours_for_every_cosine(sentences):
    for queries in (None, ["sky"]):
        image = plots.heatmap(sentences.similarity(queries)).axes[0].images[0]
        assert image.get_clim() == (0, 1)


def test_nothing_on_a_heatmap_is_cut_or_covered(sentences):
    figure = plots.heatmap(sentences.similarity())
    figure.draw_without_rendering()
    ax = figure.axes[0]
    written = [*ax.get_yticklabels(), ax.title, *figure.axes[1].get_yticklabels()]
    boxes = [label.get_window_extent() for label in written if label.get_text()]
    for box in boxes:
        assert figure.bbox.x0 <= box.x0
        assert box.x1 <= figure.bbox.x1
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


@pytest.mark.parametrize("metric", ["dot", "euclidean"])
def test_heatmap_says_what_its_colours_mean(metric):
    db = qkv.Database({"a b": 1, "b c": 2}, encoder="hashing", metric=metric)
    label = plots.heatmap(db.similarity()).axes[1].get_ylabel()
    assert label == {"dot": "dot product", "euclidean": "−½ · squared euclidean distance"}[metric]


def test_a_large_heatmap_has_neither_names_nor_numbers(words):
    figure = plots.heatmap(words.similarity())
    assert names(figure.axes[0].get_xticklabels()) == []
    assert figure.axes[0].get_xlabel() == "232 keys"
    assert len(texts(figure)) == 1  # the line below the title


def test_heatmaps_that_cannot_be_seen_are_refused():
    db = qkv.Database(encoder=None)
    with pytest.raises(errors.InputError, match="no picture"):
        plots.heatmap(db.similarity())
    db.update([(f"{i}", i) for i in range(2001)], vectors=np.eye(2001, 3, dtype=np.float32) + 1)
    with pytest.raises(errors.InputError, match="key_map"):
        plots.heatmap(db.similarity())


def test_one_cell_is_a_picture_too(sentences):
    assert texts(plots.heatmap(sentences.similarity(["Apples"], ["Apples"])))[0] == "1.00"


# ── the map ──────────────────────────────────────────────────────────────────────────────────


def test_the_map_shows_every_key_and_the_neighbours_that_search_finds(words):
    figure = plots.key_map(words, "parisian", k=3)
    ax = figure.axes[0]
    assert names(ax.get_legend().get_texts()) == ["capital", "country"]
    drawn = {c.get_label(): len(c.get_offsets()) for c in ax.collections}
    assert (drawn["capital"], drawn["country"]) == (116, 116)
    assert len(ax.lines) == 3
    found = [f"{match.key}  {match.score:.2f}" for match in words.search("parisian", 3)]
    assert set(found) <= set(texts(figure))
    assert "parisian" in texts(figure)


def test_labels_of_a_map_cover_neither_each_other_nor_the_edge(words):
    figure = plots.key_map(words, "parisian", k=5)
    ax = figure.axes[0]
    figure.draw_without_rendering()
    labels = [text for text in ax.texts if isinstance(text, Annotation)][1:]
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) > 20
    for box in boxes:
        assert ax.bbox.containsx(box.x0)
        assert ax.bbox.containsx(box.x1)
    # Annotations know their arrows as part of them: only those without are compared.
    plain = [box for box, label in zip(boxes, labels, strict=True) if label.arrow_patch is None]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(plain, 2))


def test_a_map_of_few_keys_names_all_of_them():
    db = qkv.Database(RECORDS, encoder="hashing")
    assert set(RECORDS) <= set(texts(plots.key_map(db)))


def test_a_stored_key_is_a_query_whose_neighbours_are_others(sentences):
    figure = plots.key_map(sentences, "Apples", k=2)
    assert len(figure.axes[0].lines) == 2
    assert texts(figure).count("Apples") == 1


def test_a_large_store_is_sampled_and_says_so(words):
    figure = plots.key_map(words, "parisian", k=2, sample=50)
    ax = figure.axes[0]
    assert ax.get_title("left").startswith("232 keys")
    assert any(
        "50 of them are drawn, chosen at random, and the nearest" in text for text in texts(figure)
    )
    drawn = [c for c in ax.collections if c.get_label() in ("capital", "country")]
    assert sum(len(c.get_offsets()) for c in drawn) == 52


def test_numbers_are_a_scale_and_a_crowd_of_values_has_no_colour():
    numbers = qkv.Database({f"text {i}": i for i in range(20)}, encoder="hashing")
    assert plots.key_map(numbers).axes[1].get_ylabel() == "value"
    crowd = qkv.Database({f"text {i}": f"value {i}" for i in range(20)}, encoder="hashing")
    assert plots.key_map(crowd).axes[0].get_legend() is None
    common = {f"text {i}": f"value {max(0, i - 10)}" for i in range(20)}
    legend = plots.key_map(qkv.Database(common, encoder="hashing")).axes[0].get_legend()
    assert names(legend.get_texts())[0] == "value 0"
    assert names(legend.get_texts())[-1] == "other values"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_map_of_hardly_anything(n):
    db = qkv.Database({f"key {i}": i for i in range(n)}, encoder="hashing")
    assert len(plots.key_map(db, "key", k=9).axes[0].lines) == n


def test_a_query_of_which_nothing_is_understood():
    db = qkv.Database({"cat": 1, "dog": 2}, encoder="glove")
    figure = plots.key_map(db, "qzxvw")
    assert not figure.axes[0].lines
    assert any("nothing of the query is understood" in text for text in texts(figure))


def test_a_query_may_be_a_vector_and_values_may_be_anything():
    db = qkv.Database(encoder=None)
    values = [None, [1], np.ones(3), "text", 1.5]
    db.update([(f"k{i}", v) for i, v in enumerate(values)], vectors=np.eye(5))
    figure = plots.key_map(db, np.ones(5), k=2)
    shown = set(names(figure.axes[0].get_legend().get_texts()))
    assert shown == {"null", "[1]", "vector of 3", "text", "1.5"}


def test_bad_maps_are_explained(sentences):
    with pytest.raises(errors.InputError, match="put records into it"):
        plots.key_map(qkv.Database(encoder="hashing"))
    with pytest.raises(errors.InputError, match="'pca', 'tsne' or 'umap'"):
        plots.key_map(sentences, method="mds")
    with pytest.raises(errors.InputError, match="5 points or more, not 3"):
        plots.key_map(sentences, method="tsne")


def test_pca_is_that_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    vectors = np.random.default_rng(0).normal(size=(40, 7)) * np.arange(1, 8)
    query = vectors[3] + 1
    found = pca(vectors, query)
    theirs = decomposition.PCA(2).fit(vectors)
    expected = theirs.transform(np.vstack((vectors, query)))
    signs = np.sign((found.points * expected).sum(axis=0))
    np.testing.assert_allclose(found.points, expected * signs, atol=1e-9)
    np.testing.assert_allclose(found.explained, theirs.explained_variance_ratio_)


def clusters() -> np.ndarray:
    """Two heaps of vectors, far apart."""
    noise = np.random.default_rng(0).normal(size=(40, 8)) * 0.1
    return noise + np.repeat([[5.0], [-5.0]], 20, axis=0)


@pytest.mark.parametrize("method", ["tsne", pytest.param("umap", marks=pytest.mark.slow)])
def test_other_methods_keep_neighbours_together(method):
    pytest.importorskip({"tsne": "sklearn", "umap": "umap"}[method])
    vectors = clusters()
    found = coordinates(vectors, vectors[0], Method(method))
    assert found.points.shape == (41, 2)
    assert found.explained is None
    gaps = np.linalg.norm(found.points[:, None] - found.points, axis=2)
    np.fill_diagonal(gaps, np.inf)
    nearest = gaps[:40, :40].argmin(axis=1)
    assert ((nearest < 20) == (np.arange(40) < 20)).mean() > 0.95


# ── weights ──────────────────────────────────────────────────────────────────────────────────


def test_the_bars_of_an_answer_sum_to_one():
    db = qkv.Database(
        {f"{a}{b}": a for a in "abcde" for b in "uvwxyz"}, null=0.1, encoder="hashing"
    )
    answer = db.attend("abu", temperature=0.3)
    figure = plots.weights(answer, n=4)
    ax = figure.axes[0]
    widths = [bar.get_width() for bar in ax.patches]
    assert len(widths) == 6
    assert sum(widths) == pytest.approx(1, abs=1e-5)
    assert widths[-1] == pytest.approx(answer.null)
    labels = names(ax.get_yticklabels())
    assert labels[0] == f"{answer.weights[0].key} → {answer.weights[0].value}"
    assert labels[-2:] == ["the other records", "nothing here"]
    assert f"recalled, {answer.confidence:.0%} of the attention" in texts(figure)[-1]


def test_a_calibrated_answer_says_how_sure_it_is(words):
    answer = words.attend("a waltz in vienna")
    assert f", {answer.confidence:.0%} sure; " in texts(plots.weights(answer))[-1]


def test_an_answer_of_nothing_says_so():
    db = qkv.Database({"cat": "animal"}, encoder="glove", null=0.99)
    ax = plots.weights(db.attend("qzxvw")).axes[0]
    assert ax.get_title("left") == "qzxvw → nothing"
    assert ax.patches[-1].get_width() == 1


def test_an_estimated_number_has_its_spread():
    db = qkv.Database({"a b": 1000, "b c": 2000}, encoder="hashing")
    assert " ± " in plots.weights(db.attend("b")).axes[0].get_title("left")


# ── reliability ──────────────────────────────────────────────────────────────────────────────

#: Of five answers: right, right, wrong, right, and one to a question without an answer.
KNOWN = Reliability(
    thresholds=(0.9, 0.8, 0.7, 0.6, 0.1),
    errors=(0.0, 0.0, 0.04, 0.06, 0.3),
    bounds=(0.04, 0.03, 0.08, 0.12, 0.4),
    answered=(0.25, 0.5, 0.75, 0.75, 1.0),
    bins=((0.1, 0.05, 0.2), (0.75, 0.7, 0.3), (0.95, 1.0, 0.5)),
    ece=0.05,
    auroc=0.9,
    accuracy=0.75,
)


@pytest.fixture(scope="module")
def colours() -> qkv.Database:
    records = {f"{a} {b}": a for a in ("red", "blue") for b in CAPITALS.values()}
    return qkv.Database(records, encoder="hashing")


def beside(figure: Figure) -> list[str]:
    """What is written beside the curve, a budget each."""
    return [said for text in figure.axes[1].texts if "wrong:" in (said := text.get_text())]


def test_a_dot_is_how_often_it_was_right_when_so_sure():
    figure = plots.reliability(KNOWN)
    diagram, curve = figure.axes
    (dots,) = (c for c in diagram.collections if len(c.get_offsets()) == 3)
    np.testing.assert_allclose(dots.get_offsets(), [bin[:2] for bin in KNOWN.bins])
    sizes = dots.get_sizes()
    assert sizes[0] < sizes[1] < sizes[2]
    np.testing.assert_allclose(diagram.lines[0].get_xydata(), [(0, 0), (1, 1)])
    assert "ECE 0.050: 5.0 points off, on average" in texts(figure)
    assert (diagram.get_xlabel(), curve.get_ylabel()) == (
        "how sure it said it was",
        "wrong, of the answers given",
    )


def test_the_curve_is_what_more_answers_cost_and_marks_budgets():
    figure = plots.reliability(KNOWN)
    curve = figure.axes[1]
    points = next(line for line in curve.lines if len(line.get_xdata()) == 5).get_xydata()
    np.testing.assert_allclose(points, np.stack((KNOWN.answered, KNOWN.errors), axis=1))
    # The last place where the upper end, not the share that was seen, is within the budget.
    diamonds = [line.get_xydata()[0].tolist() for line in curve.lines if line.get_marker() == "D"]
    assert diamonds == [[0.5, 0.03], [0.75, 0.08]]
    said = [text.get_text() for text in curve.texts]
    assert said[:3] == [
        "≤ 1%: too few questions to tell",
        "≤ 5%: 50% answered",
        "≤ 10%: 75% answered",
    ]


def test_a_budget_that_no_answer_keeps_says_so():
    wrong = replace(KNOWN, errors=(0.06, 0.04, 0.05, 0.06, 0.12), bounds=(0.2,) * 5)
    assert beside(plots.reliability(wrong)) == [
        "at most 1% wrong:\nnone is so sure",
        "at most 5% wrong:\ntoo few questions to tell",
        "at most 10% wrong:\ntoo few questions to tell",
    ]


def test_a_calibration_says_how_much_was_asked(colours):
    calibration = colours.calibrate()
    said = texts(plots.reliability(calibration))
    asked = f"{calibration.questions} of its own records asked for"
    assert any(asked in text for text in said)
    assert not any(asked in text for text in texts(plots.reliability(calibration.reliability)))


def test_it_says_that_questions_were_given():
    known = replace(prior(9), told=1200, reliability=KNOWN)
    assert any(
        "1,200 questions that it was given" in text for text in texts(plots.reliability(known))
    )


def test_a_store_that_was_not_asked_has_no_reliability(sentences):
    for nothing in (sentences.calibrate(), sentences.calibrate().reliability):
        with pytest.raises(errors.InputError, match="20 records that share their value"):
            plots.reliability(nothing)


def test_nothing_of_the_reliability_is_cut_or_covered(colours):
    for known in (KNOWN, colours.calibrate()):
        figure = plots.reliability(known)
        figure.draw_without_rendering()
        boxes = [
            text.get_window_extent()
            for ax in figure.axes
            for text in [ax._left_title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
        ]
        for box in boxes:
            assert figure.bbox.x0 <= box.x0
            assert box.x1 <= figure.bbox.x1
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)


# ── what is written ──────────────────────────────────────────────────────────────────────────


def test_texts_are_written_as_they_are(tmp_path):
    db = qkv.Database({"$x$ \\frac{1}{": "$", "two\nlines\x00": "%_{", "a" * 90: "b"})
    figure = plots.heatmap(db.similarity())
    shown = names(figure.axes[0].get_yticklabels())
    assert shown == ["$x$ \\frac{1}{", "two lines", "a" * 27 + "…"]
    for ending in ("png", "svg"):
        for drawn in (figure, plots.key_map(db, "$y_{"), plots.weights(db.attend("$z^{"))):
            plots.save(drawn, tmp_path / f"x.{ending}")
    ElementTree.parse(tmp_path / "x.svg")


def test_a_character_that_no_font_has_is_a_box(tmp_path):
    # Unassigned for ever, so that no installed font has it.
    letters = lettering(["a \U0002ffff b"])
    assert letters.label("a \U0002ffff b") == "a □ b"
    assert "no installed font" in letters.note
    db = qkv.Database(
        {"\U0002ffff 猫": "動物", "สวัสดี": "👍🏽", "مرحبا": "\u200d"}, encoder="hashing"
    )
    for figure in (plots.key_map(db, "猫"), plots.heatmap(db.similarity())):
        plots.save(figure, tmp_path / "x.png")  # warnings are errors here
    assert any("□" in text for text in texts(figure))


def test_fonts_are_looked_for_by_what_they_can_write():
    stix, usual = (
        get_font(findfont(FontProperties(name))) for name in ("STIXGeneral", "DejaVu Sans")
    )
    only = next(c for c in map(chr, stix.get_charmap()) if not usual.get_char_index(ord(c)))
    letters = lettering([f"a{only}"])
    assert not letters.missing
    assert len(letters.style["family"]) == 2


def test_one_line_counts_the_columns_of_wide_characters():
    assert one_line("ab\r\n\tc") == "ab c"
    assert one_line("世界杯", 6) == "世界杯"
    assert one_line("世界杯在", 6) == "世界…"


# ── figures and files ────────────────────────────────────────────────────────────────────────


def drawings(db: qkv.Database, ax=None):
    yield plots.heatmap(db.similarity(), ax=ax)
    yield plots.key_map(db, "sky", ax=ax)
    yield plots.weights(db.attend("sky"), ax=ax)
    yield plots.reliability(KNOWN, ax=None if ax is None else (ax, ax))


def test_the_same_picture_is_the_same_file(sentences, tmp_path):
    for ending, start in {"png": b"\x89PNG", "svg": b"<?xml"}.items():
        for first, second in zip(drawings(sentences), drawings(sentences), strict=True):
            files = [
                plots.save(figure, tmp_path / f"x.{ending}").read_bytes()
                for figure in (first, second)
            ]
            assert files[0] == files[1]
            assert files[0].startswith(start)
            assert b"dc:date" not in files[0]


def test_pictures_are_drawn_on_axes_that_are_given(sentences):
    figure = Figure()
    for drawn in drawings(sentences, figure.subplots()):
        assert drawn is figure


def test_a_notebook_shows_them(sentences):
    assert plots.weights(sentences.attend("sky"))._repr_png_().startswith(b"\x89PNG")


def test_only_png_and_svg_are_written(sentences, tmp_path):
    figure = plots.weights(sentences.attend("sky"))
    with pytest.raises(errors.InputError, match=r"\.png or \.svg"):
        plots.save(figure, tmp_path / "x.jpg")
    with pytest.raises(FileNotFoundError):
        plots.save(figure, tmp_path / "nowhere" / "x.png")
    assert not list(tmp_path.iterdir())


def in_a_new_process(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_matplotlib_waits_for_a_picture_and_pyplot_for_ever():
    assert in_a_new_process("""
import sys, qkv
db = qkv.Database({"a": 1, "b": 2}, encoder="hashing")
db.similarity()
print("matplotlib" in sys.modules)
from qkv import plots
plots.key_map(db, "a"); plots.heatmap(db.similarity()); plots.weights(db.attend("c"))
print("matplotlib.pyplot" in sys.modules)
""").split() == ["False", "False"]


def test_without_matplotlib_the_line_that_installs_it_is_said():
    said = in_a_new_process("""
import sys
sys.modules["matplotlib"] = None
import qkv
try:
    from qkv import plots
except qkv.errors.MissingExtra as error:
    print(isinstance(error, ImportError), error)
""")
    assert said == "True pictures need matplotlib: pip install 'qkv[plots]'\n"


@pytest.mark.parametrize(("method", "module"), [("tsne", "sklearn.manifold"), ("umap", "umap")])
def test_without_the_extra_for_maps_too(method, module, words, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(errors.MissingExtra, match=r"pip install 'qkv\[maps\]'"):
        plots.key_map(words, method=method)


def test_the_pictures_of_the_docs_are_small_and_shown():
    pages = "".join(page.read_text() for page in PICTURES.parent.glob("*.md"))
    root = PICTURES.parents[1]
    scripts = "".join(
        script.read_text()
        for name in ("examples", "benchmarks")
        for script in (root / name).glob("*.py")
    )
    pictures = sorted(PICTURES.iterdir())
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size <= 100_000
        assert f"pictures/{picture.name}" in pages
        assert f'"{picture.name}"' in scripts
