"""Pictures of a store: similarity matrix, map of its keys, weights of an answer, reliability."""

import sys
from pathlib import Path

import qkv
from qkv import plots
from qkv.demo import CAPITALS, RECORDS, RESPONSES

SENTENCES = [
    "Where is the world cup?",
    "What color is the sky?",
    "Where does the bear live?",
    "What is an apple?",
    "The world cup is in Qatar.",
    "The sky is blue.",
    "The bear lives in the woods.",
    "An apple is a fruit.",
]
NOUNS = {
    "animal": "cat dog horse cow sheep lion tiger wolf mouse rabbit elephant monkey bear fox goat",
    "fruit": "apple banana cherry lemon mango peach pear plum grape melon strawberry pineapple fig",
    "colour": "red blue green yellow purple pink black white grey brown violet crimson turquoise",
    "country": "france spain italy germany poland norway sweden japan china india egypt kenya peru",
    "job": "doctor teacher lawyer nurse farmer baker carpenter engineer plumber dentist pilot chef",
    "instrument": "piano guitar violin flute drum trumpet cello harp clarinet oboe saxophone organ",
    "vehicle": "car bus train bicycle truck boat ship plane tram van motorcycle helicopter ferry",
    "clothing": "shirt trousers skirt dress coat jacket hat sock shoe glove scarf sweater belt tie",
    "furniture": "chair table sofa bed desk wardrobe shelf cupboard stool bench cabinet armchair",
    "weather": "rain snow wind storm cloud fog hail thunder sunshine drizzle frost blizzard mist",
}

CUP = [
    "The world cup is in Qatar",
    "The world cup is in the moon",
    "The previous world cup was in Russia",
]
ASKED = ["Where is the world cup?", "Where does the world cup take place?"]
TAUGHT = [
    "In which country is the world cup held?",
    "Who hosts the world cup?",
    "Which place is the world cup played in?",
    "Where do they play the world cup?",
    "Where can I go to see the world cup?",
    "Tell me where the world cup is held",
]

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "pictures")
folder.mkdir(exist_ok=True)

sentences = qkv.Database(dict.fromkeys(SENTENCES, 0))
responses = qkv.Database(RESPONSES)
places = qkv.Database(
    {**dict.fromkeys(CAPITALS, "country"), **dict.fromkeys(CAPITALS.values(), "capital")}
)
words = qkv.Database(RECORDS)
nouns = qkv.Database({noun: kind for kind, listed in NOUNS.items() for noun in listed.split()})

# The failure that learning mends is one of the light encoder's; the default knows better.
cup = qkv.Database(
    {answer: number for number, answer in enumerate(CUP)}, encoder="glove+use", lexicon=None
)
before = plots.heatmap(cup.similarity(ASKED))
cup.learn([(asked, CUP[0]) for asked in TAUGHT], negatives=[CUP[1:]] * len(TAUGHT))
after = plots.heatmap(cup.similarity(ASKED))

for name, figure in {
    "learning-before.png": before,
    "learning-after.png": after,
    "heatmap.png": plots.heatmap(sentences.similarity()),
    "map.png": plots.key_map(responses, "Where is the world cup?", k=3),
    "places.png": plots.key_map(places, "a waltz in vienna", k=4),
    "reliability.png": plots.reliability(nouns.calibrate()),
    "weights.png": plots.weights(words.attend("seventy")),
}.items():
    print(plots.save(figure, folder / name, dpi=90))
