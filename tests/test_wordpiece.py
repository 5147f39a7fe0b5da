"""WordPiece: its rules, and that its tokens are those of the published tokenizer."""

from __future__ import annotations

import hashlib
import sys
import time
import unicodedata
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv.encoders import wordpiece
from qkv.encoders.wordpiece import WordPiece

ROOT = Path(__file__).parents[1]
TEXTS = [
    "",
    " \t\r\n\u3000",
    "The sky is blue, isn't it? $5.00 + 3% = x^2_i",
    "Éclair naïve CAFÉ cafe\u0301 Ångström ǅ Ǆ ŀ ﬁ ﬀ ß ẞ İstanbul ıI ΣΊΣΥΦΟΣ ς ΐ",
    "ｆｕｌｌ　ｗｉｄｔｈ！ ½ ² ① Ⅷ № ™ ℃ ㎏",
    "你好，世界。 漢字かな交じり文 カタカナ ﾊﾝｶｸ 한국어 조선말 ㄱㄴㄷ",
    "Привет, мир! Ёлка Київ ђ Ѣ",
    "مرحبا بالعالم، كَتَبَ שָׁלוֹם עולם ދިވެހި ܐܒܓ",
    "नमस्ते दुनिया বাংলা தமிழ் తెలుగు ಕನ್ನಡ മലയാളം ไทย ລາວ မြန်မာ ខ្មែរ བོད་ཡིག",
    "አማርኛ ქართული Հայերեն ᏣᎳᎩ ᐃᓄᒃᑎᑐᑦ ᚠᚢᚦ 𐍈 𒀀 𓀀 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚",
    "👩‍👩‍👧‍👦 🤩 ❤️ 🇩🇪 👍🏽 :-) ¯\\_(ツ)_/¯ ☃︎",
    "zero\u200bwidth so\u00adft \ufeffmark \x00nul\x07 \x85 \x1c \ufffd \ue000 a\u2028b\u2029c",
    "[CLS] a [SEP][MASK] [PAD]x[UNK] [cls] [ CLS ] [unused1] ##ing # #",
    "unfathomably antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "kubectl nginx E1042 https://a.b/c?d=e&f=g user@example.org 192.168.0.1 C++ C# .NET",
    "x" * 100 + " " + "x" * 101 + " " + "가" * 50 + " " + "ö" * 99,
    "\U000fa6e0 \ufa6e \U0002b820 \U0002f800 \uf900 \u2260 \u037e \u1fef",
]


@pytest.fixture(scope="module")
def published():
    """Hugging Face's tokenizer with the same vocabulary: text to tokens."""
    tokenizers = pytest.importorskip("tokenizers", reason="the published tokenizer to compare with")
    places = WordPiece.load()._first
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(places, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return lambda text: made.encode(text, add_special_tokens=False).ids


class TestRules:
    """With a vocabulary that can be seen whole."""

    TOKENS = ("[UNK]", "[CLS]", "[SEP]", "un", "##know", "##able", "##a", "unknow", "!", "1", "中")

    @pytest.mark.parametrize(
        ("text", "tokens"),
        [
            ("unknowable", ["unknow", "##able"]),  # the longest beginning, not the first
            ("UNABLE", ["un", "##able"]),
            ("uńknow", ["unknow"]),
            ("unknowing", ["[UNK]"]),  # known in part is unknown
            ("un un!1", ["un", "un", "!", "1"]),
            ("un中un", ["un", "中", "un"]),
            ("u\u200bn", ["un"]),
            ("know", ["[UNK]"]),  # it goes on, and begins nothing
            ("un[SEP]un [SEP ]", ["un", "[SEP]", "un", "[UNK]", "[UNK]", "[UNK]"]),
            ("un" + "a" * 98, ["un"] + ["##a"] * 98),
            ("un" + "a" * 99, ["[UNK]"]),
            ("", []),
        ],
    )
    def test_tokens(self, text, tokens):
        assert [self.TOKENS[t] for t in WordPiece(self.TOKENS).encode(text)] == tokens

    def test_tokens_are_those_of_the_words_one_after_another(self):
        tokenizer = WordPiece.load()
        for text in TEXTS:
            words = tokenizer.words(text)
            assert [t for w in words for t in tokenizer.pieces(w)] == tokenizer.encode(text)

    def test_nothing_but_words_is_remembered(self):
        tokenizer = WordPiece(self.TOKENS)
        tokenizer.encode("un" * 10_000)
        assert tokenizer._pieces.cache_info().currsize == 0
        tokenizer.encode(" ".join(f"un{i}" for i in range(40_000)))
        assert tokenizer._pieces.cache_info().currsize <= wordpiece._REMEMBERED


class TestVocabulary:
    def test_it_is_the_published_one(self):
        data = resources.files("qkv.encoders").joinpath("data", "vocab.txt").read_bytes()
        noted = (ROOT / "src/qkv/encoders/data/README.md").read_text()
        assert hashlib.sha256(data).hexdigest() in noted
        tokenizer = WordPiece.load()
        assert (tokenizer.unknown, tokenizer.begin, tokenizer.end) == (100, 101, 102)
        assert tokenizer.encode("hello world") == [7592, 2088]

    def test_it_is_loaded_once(self):
        assert WordPiece.load() is WordPiece.load()


class TestAgainstThePublishedTokenizer:
    @pytest.mark.parametrize("text", TEXTS)
    def test_texts(self, text, published):
        assert WordPiece.load().encode(text) == published(text)

    @given(st.text(max_size=60))
    def test_any_text(self, published, text):
        assert WordPiece.load().encode(text) == published(text)

    @given(st.text("aA1é\u0301ßΣİ#[]SEP -.,'中が한\u200b\x00\u00a0🐻ﬁ", max_size=30))
    def test_what_meets_in_a_word(self, published, text):
        assert WordPiece.load().encode(text) == published(text)

    def test_every_character(self, published):
        tokenizer = WordPiece.load()
        # Of the planes that hold nothing but private characters, or nothing at all, some.
        codes = [*range(0xD800), *range(0xE000, 0x32000), *range(0xE0000, 0xE0200)]
        codes += range(0x32000, sys.maxunicode + 1, 997)
        letters = [chr(code) for code in codes]
        for start in range(0, len(letters), 5000):
            # Known on both sides: a character that parts, goes or stays shows itself.
            texts = [f"cat{letter}dog" for letter in letters[start : start + 5000]]
            if tokenizer.encode("\n".join(texts)) == published("\n".join(texts)):
                continue
            for text in texts:
                assert tokenizer.encode(text) == published(text), (
                    f"U+{ord(text[3]):04X} {unicodedata.name(text[3], '')}"
                )

    def test_the_docs(self, published):
        for path in [*(ROOT / "docs").glob("*.md"), *(ROOT / "src").rglob("*.py")]:
            text = path.read_text(encoding="utf-8")
            assert WordPiece.load().encode(text) == published(text), path.name

    def test_it_is_no_slower(self, published):
        """A hundred docs' lines; a third of the published tokenizer's speed would do."""
        lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:100]

        def seconds(encode):
            best = []
            for _ in range(7):
                start = time.perf_counter()
                for line in lines:
                    encode(line)
                best.append(time.perf_counter() - start)
            return min(best)

        assert seconds(WordPiece.load().encode) < 3 * seconds(published)
