"""Languages: the small words that a keyword search may leave out, and the stems of the others.

The lists of stop words hold closed classes only – articles, pronouns, prepositions, conjunctions,
auxiliaries, question words, particles – because every noun, verb and adjective is what somebody is
looking for. (Published lists of a thousand words hold "world" and "system".) Stems are Snowball's.
The index keeps all words as they are; what counts is decided when a query is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from qkv.errors import InputError

__all__ = ["LANGUAGES", "stems", "stop_words"]

_LISTS = {
    "ar": """
        في من إلى على عن مع هذا هذه ذلك تلك الذي التي الذين ما ماذا هل كيف أين متى لماذا كم أي و
        أو ثم لكن بل إن أن لا لم لن ليس قد كان كانت يكون تكون هو هي هم هن أنا نحن أنت أنتم كل
        بعض غير بين عند بعد قبل حتى إذا كما لو منذ خلال حول دون سوى""",
    "de": """
        der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner
        und oder aber denn sondern sowie als wie wenn ob dass daß weil da damit obwohl ich du er
        sie es wir ihr mich dich ihn uns euch mir dir ihm ihnen mein dein sein unser euer meine
        deine seine ihre unsere in im an am auf aus bei beim bis durch für gegen mit nach ohne
        seit über um unter von vom vor zu zum zur zwischen bin bist ist sind seid war waren
        warst wart gewesen wird werden wurde wurden worden habe hast hat haben hatte hatten kann
        können konnte muss müssen soll sollen will wollen darf mag nicht auch nur noch schon
        sehr so was wer wo wann warum wieso welche welcher welches wem wen wohin woher dieser
        diese dieses diesem diesen jener jene jenes man sich hier dort dann doch""",
    "en": """
        a an the and or but nor if then than as at by for from in into of off on onto out over
        to under up with without about above after again against before below between down
        during through until while i me my myself we us our ours ourselves you your yours
        yourself yourselves he him his himself she her hers herself it its itself they them
        their theirs themselves this that these those who whom whose which what when where why
        how am is are was were be been being have has had having do does did doing can could may
        might must shall should will would not no s t re ve ll d m don doesn didn isn aren wasn
        weren won wouldn couldn shouldn so too very just there here both each few more most
        other some such only own same because any all""",
    "es": """
        el la los las lo un una unos unas y e o u pero sino ni que si como cuando donde quien
        quienes cual cuales cuyo qué cómo cuándo dónde quién cuál cuánto por para de del a al en
        con sin sobre entre hasta desde hacia según tras durante ante bajo contra yo tú él ella
        ello nosotros vosotros ellos ellas usted ustedes me te se nos os le les mi tu su mis tus
        sus nuestro nuestra este esta esto estos estas ese esa eso esos esas aquel aquella ser
        soy eres es somos son era eran fue fueron sido estar estoy está están estaba haber he ha
        han había hay no sí ya muy más menos también porque""",
    "fr": """
        le la les l un une des du de d à au aux en dans par pour sur sous avec sans chez entre
        vers depuis pendant avant après contre et ou mais donc or ni car que qu si comme quand
        où qui quoi dont quel quelle quels quelles lequel laquelle comment pourquoi combien je j
        tu il elle on nous vous ils elles me m te t se s lui leur leurs moi toi soi eux y mon ma
        mes ton ta tes son sa ses notre nos votre vos ce c cet cette ces ceci cela ça suis es
        est sommes êtes sont étais était étaient été être ai as a avons avez ont avait avaient
        eu avoir ne n pas plus très aussi""",
    "it": """
        il lo la i gli le l un uno una di a da in con su per tra fra del dello della dei degli
        delle dell al allo alla ai agli alle all dal dallo dalla dai dagli dalle nel nello nella
        nei negli nelle sul sullo sulla sui sugli sulle e ed o ma se che chi cui come quando
        dove perché quale quali quanto cosa io tu lui lei noi voi loro mi ti si ci vi ne li mio
        mia tuo tua suo sua nostro vostro questo questa questi queste quello quella quelli
        quelle sono sei è siamo siete era erano stato essere ho hai ha abbiamo avete hanno aveva
        avere non più anche molto""",
    "nl": """
        de het een en of maar want dat als dan toen omdat hoewel in op aan van voor met bij naar
        uit over onder tot door tegen tussen zonder om te ik jij je u hij zij ze wij we jullie
        mij me jou hem haar ons hen hun mijn jouw zijn uw onze dit deze die wat wie waar wanneer
        waarom hoe welke welk ben bent is was waren geweest wordt worden werd heb hebt heeft
        hebben had hadden kan kunnen moet zal zou niet geen ook nog er hier daar zo zeer""",
    "pl": """
        i a oraz lub albo ale że żeby jeśli jeżeli gdy kiedy jak co kto gdzie dlaczego który
        która które którzy czy ile w we z ze na do od dla po przed przez przy nad pod o u bez
        między ja ty on ona ono my wy oni one mnie mi ciebie ci jego jej go mu ją nas nam was
        wam ich im mój moja moje twój swój nasz wasz ten ta to te tego tej tym tych jest są był
        była było były być nie się tak już też tylko bardzo""",
    "pt": """
        o a os as um uma uns umas de do da dos das em no na nos nas por pelo pela para com sem
        sobre entre até desde sob contra e ou mas nem que se como quando onde quem qual quais
        cujo quanto porque porquê eu tu ele ela nós vós eles elas você vocês me te lhe lhes meu
        minha teu tua seu sua nosso nossa este esta isto esse essa isso aquele aquela aquilo ser
        sou é somos são era eram foi foram estar está estão haver há ter tem têm tinha não sim
        já muito mais também ao aos à às""",
    "ru": """
        и а но или да что чтобы если когда как где кто чей который которая которое которые
        почему зачем сколько куда откуда в во на с со к ко о об от до из за по под над при про
        для без через между у я ты он она оно мы вы они меня мне тебя тебе его ему её ей нас нам
        вас вам их им мой моя моё мои твой наш ваш свой этот эта это эти тот та то те быть был
        была было были есть будет не ни же ли бы уже ещё только тоже так вот очень""",
    "tr": """
        ve ile veya ya da de ki ama fakat ancak çünkü eğer için gibi kadar göre sonra önce ben
        sen o biz siz onlar beni bana bende benden benim seni sana senin onu ona onun bizim
        sizin onların bu şu bunu buna bunun şunu ne kim nerede nereye nereden nasıl niçin neden
        niye hangi kaç mi mı mu mü bir her bazı hiç çok daha en değil var yok idi ise olarak
        olan""",
}

_STEMMERS = {
    "ar": "arabic",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fr": "french",
    "it": "italian",
    "nl": "dutch",
    "pl": "polish",
    "pt": "portuguese",
    "ru": "russian",
    "tr": "turkish",
}

#: Languages that are known. Scripts that are searched in pieces (Chinese, Japanese, Korean, Thai)
#: are not among them: their small words are parts of the pieces.
LANGUAGES = tuple(_LISTS)


def stop_words(language: str) -> tuple[str, ...]:
    """The stop words of a language.

    Parameters
    ----------
    language : str
        Two letters: one of ``LANGUAGES``.

    Raises
    ------
    InputError
        For a language without a list.

    Examples
    --------
    >>> "the" in stop_words("en"), "world" in stop_words("en")
    (True, False)
    """
    return tuple(_LISTS[_check(language)].split())


@cache
def stems(language: str) -> Callable[[list[str]], list[str]]:
    """What brings words of a language to their stems, a list at a time.

    Raises
    ------
    InputError
        For a language that is not known.

    Examples
    --------
    >>> stems("en")(["cups", "cup", "techniques"])
    ['cup', 'cup', 'techniqu']
    """
    name = _STEMMERS[_check(language)]
    from Stemmer import Stemmer  # noqa: PLC0415  (not for those who never ask for a language)

    stemmed: Callable[[list[str]], list[str]] = Stemmer(name).stemWords
    return stemmed


def _check(language: str) -> str:
    if not isinstance(language, str) or language not in _LISTS:
        raise InputError(
            f"the languages of keyword search are {', '.join(map(repr, LANGUAGES))}, not "
            f"{language!r}; leave it out for any other, or give stop_words as a list of words"
        )
    return language
