"""The closed lists that the guard knows: negations, opposites, number words, units, the calendar.

A word stands under the languages in which it certainly means that; it counts in a text of one of
those. Whatever is on no list is left alone.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "ALIASES",
    "CALENDAR",
    "CASELESS",
    "DIRECTIONS",
    "DIRECTION_PARTS",
    "JOINING",
    "LIGHT",
    "NEGATIONS",
    "NUMBERS",
    "OPPOSITES",
    "OPPOSITE_CHARACTERS",
    "OPPOSITE_PARTS",
    "OPPOSITE_STARTS",
    "REVERSING",
    "SCALES",
    "UNITS",
    "Unit",
]


class Unit(NamedTuple):
    """What a number counts: value × factor + shift in the dimension's own unit."""

    dimension: str
    factor: float
    shift: float = 0.0


def _words(text: str) -> list[str]:
    return text.split()


def _by_word(lists: dict[str, str]) -> dict[str, frozenset[str]]:
    languages: dict[str, set[str]] = {}
    for language, words in lists.items():
        for word in words.split():
            languages.setdefault(word, set()).add(language)
    return {word: frozenset(found) for word, found in languages.items()}


#: Word → the languages in which it denies.
NEGATIONS = _by_word(
    {
        "en": """
            not no never without cannot cant dont doesnt didnt isnt arent wasnt werent wont
            wouldnt shouldnt couldnt hasnt havent hadnt neither nobody none nothing nowhere unable
            except excluding lacking minus avoid avoids avoiding avoided exclude excludes
            excluded non
            prohibit prohibits prohibited forbid forbids forbidden ban bans banned
            refuse refused deny denied""",
        "de": """
            nicht kein keine keinen keinem keiner keines nie niemals niemand nichts ohne weder
            außer""",
        "fr": "pas jamais aucun aucune sans",
        "es": "no nunca jamás sin ningún ninguna ninguno nadie tampoco",
        "it": "non mai senza nessun nessuno nessuna",
        "pt": "não nunca jamais sem nenhum nenhuma ninguém",
        "nl": "niet geen nooit zonder niemand niets",
        "pl": "nie nigdy bez żaden żadna nikt",
        "ru": "не нет никогда без нельзя никто ничего",
        "tr": "değil yok hiçbir asla olmadan",
        "ar": "لا ليس لم لن بدون دون غير",
    }
)

#: Words that say little about the matter: a change of them contradicts nothing.
LIGHT = frozenset(
    _words("""
    a able actually also anyone anything ask available away best bit bye can cheers could
    currently dear do find get gets getting give gives go goes going good got gotten hello help
    hey hi hiya how i know let like look looking make makes many may mean might much must need
    needed needs now ok okay one our please possible question quick really required right say
    should show so somebody someone something sorry still sure take taking tell thank thanks thing
    things today try trying uh um er erm hmm us use used using usually very want wanted wants way
    ways well what whats wish wondering would yes you explain am ive id im whos wheres hows theres
    thats youre
    """)
)

_PAIRS = """
    enable/disable enabled/disabled before/after increase/decrease raise/lower raise/reduce
    increase/reduce rise/fall min/max minimum/maximum minimal/maximal buy/sell buying/selling
    buyer/seller left/right open/close open/closed opening/closing start/stop start/end
    start/finish begin/end first/last start/stopping add/remove add/delete insert/delete
    install/uninstall include/exclude included/excluded including/excluding lock/unlock on/off
    in/out up/down top/bottom over/under above/below inside/outside indoor/outdoor
    indoors/outdoors upload/download import/export incoming/outgoing inbound/outbound input/output
    send/receive sender/receiver sender/recipient push/pull lend/borrow give/take allow/ban
    allow/forbid allow/prohibit allow/deny allow/block allowed/banned allowed/forbidden
    allowed/prohibited permit/prohibit permit/ban permit/forbid permitted/prohibited accept/reject
    accept/decline accept/refuse approve/reject approve/decline approve/claim grant/revoke
    legal/illegal lawful/unlawful legal/banned can/cannot win/lose won/lost winner/loser gain/lose
    gain/loss profit/loss gains/losses more/less most/least more/fewer many/few much/little
    high/low higher/lower highest/lowest big/small bigger/smaller biggest/smallest large/small
    larger/smaller largest/smallest long/short longer/shorter longest/shortest tall/short
    tallest/shortest fast/slow faster/slower fastest/slowest early/late earlier/later
    earliest/latest old/new older/newer oldest/newest old/young older/younger oldest/youngest
    hot/cold hotter/colder hottest/coldest warm/cool heat/cool heating/cooling wet/dry
    cheap/expensive cheaper/pricier cheapest/dearest rich/poor strong/weak stronger/weaker
    hard/soft hard/easy easy/difficult heavy/light heavier/lighter thick/thin wide/narrow
    deep/shallow full/empty good/bad better/worse best/worst positive/negative true/false
    right/wrong correct/incorrect pass/fail success/failure succeed/fail alive/dead birth/death
    born/died arrive/depart arrival/departure arrivals/departures arriving/leaving come/go
    enter/exit entrance/exit enter/leave entry/exit join/leave connect/disconnect attach/detach
    mount/unmount show/hide visible/hidden expand/collapse zoom/shrink grow/shrink encode/decode
    encrypt/decrypt compress/decompress compress/extract lossy/lossless pack/unpack
    active/inactive activate/deactivate pause/resume mute/unmute follow/unfollow
    subscribe/unsubscribe public/private free/paid optional/compulsory optional/mandatory
    optional/required voluntary/mandatory benefit/drawback benefits/drawbacks benefit/risk
    benefits/risks advantage/disadvantage advantages/disadvantages pros/cons pro/con
    upside/downside strength/weakness strengths/weaknesses improve/damage improve/worsen
    improve/harm help/harm cure/cause prevent/cause treat/cause safe/dangerous safe/unsafe
    safe/harmful day/night daily/weekly weekly/monthly monthly/yearly monthly/annual daily/monthly
    weekday/weekend weekdays/weekends morning/evening morning/afternoon am/pm today/tomorrow
    today/yesterday tomorrow/yesterday last/next previous/next past/future male/female man/woman
    men/women boy/girl boys/girls mother/father husband/wife son/daughter brother/sister
    king/queen mum/dad mom/dad adult/child adults/children adults/kids adult/kid parent/child
    employer/employee employers/employees teacher/student teachers/students doctor/patient
    landlord/tenant landlords/tenants host/guest lender/borrower supplier/customer debtor/creditor
    plaintiff/defendant north/south east/west northern/southern eastern/western
    northeast/southwest northwest/southeast domestic/international home/away local/remote
    online/offline online/paper wired/wireless single/return single/double single/married
    single/joint fixed/variable simple/compound liquid/solid gas/liquid acid/base acidic/alkaline
    ascending/descending ascend/descend vertical/horizontal row/column rows/columns
    portrait/landscape plus/minus addition/subtraction multiply/divide add/subtract even/odd
    cover/exclude covered/excluded credit/debit deposit/withdraw deposit/withdrawal
    deposits/withdrawals hire/fire employed/unemployed deposit/spend save/spend singular/plural
    front/back forward/backward forwards/backwards clockwise/anticlockwise
    clockwise/counterclockwise upstream/downstream upstairs/downstairs uphill/downhill
    permanent/temporary primary/secondary major/minor majority/minority junior/senior hyper/hypo
    hypertension/hypotension acute/chronic benign/malignant dominant/recessive lose/find
    lost/found remember/forget love/hate ask/answer question/answer attack/defend build/demolish
    create/destroy create/delete freeze/unfreeze freeze/thaw merge/split inhale/exhale
    internal/external explicit/implicit synchronous/asynchronous static/dynamic theory/practice
    supply/demand war/peace black/white billing/delivery with/without
    vor/nach mit/ohne öffnen/schließen links/rechts oben/unten kaufen/verkaufen
    aktivieren/deaktivieren hinzufügen/entfernen hinzufügen/löschen groß/klein alt/neu alt/jung
    heiß/kalt hoch/niedrig höher/niedriger größer/kleiner größte/kleinste mehr/weniger
    maximum/minimum gewinnen/verlieren ankunft/abfahrt ankunft/abflug eingang/ausgang
    steigen/sinken erhöhen/senken anfang/ende beginn/ende vorteile/nachteile vorteil/nachteil
    erlaubt/verboten nördlich/südlich östlich/westlich norden/süden osten/westen avant/après
    avec/sans ouvrir/fermer ouvert/fermé gauche/droite haut/bas acheter/vendre activer/désactiver
    ajouter/supprimer grand/petit plus/moins augmenter/diminuer début/fin arrivée/départ
    entrée/sortie gagner/perdre chaud/froid nord/sud est/ouest avantages/inconvénients
    autorisé/interdit antes/después con/sin abrir/cerrar abierto/cerrado izquierda/derecha
    arriba/abajo comprar/vender activar/desactivar añadir/eliminar grande/pequeño más/menos
    aumentar/disminuir inicio/fin llegada/salida entrada/salida ganar/perder caliente/frío
    norte/sur este/oeste ventajas/desventajas permitido/prohibido mayor/menor prima/dopo
    aprire/chiudere aperto/chiuso sinistra/destra comprare/vendere più/meno antes/depois
    abrir/fechar aberto/fechado esquerda/direita mais/menos com/sem до/после открыть/закрыть
    включить/выключить купить/продать больше/меньше лево/право налево/направо вход/выход
    увеличить/уменьшить 크다/작다 열다/닫다 전/후
"""


def _opposites() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for pair in _PAIRS.split():
        one, _, other = pair.partition("/")
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return {word: frozenset(others) for word, others in found.items()}


#: Word → its opposites, and words that exclude it.
OPPOSITES = _opposites()


def _both_ways(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (*pairs, *((b, a) for a, b in pairs))


#: What turns a word into its opposite, and how long that word must be at least.
REVERSING = {
    "un": 4, "non": 4, "dis": 5, "in": 5, "im": 5, "il": 5, "ir": 5, "de": 6, "anti": 4,
    "dés": 4, "des": 5, "не": 4, "без": 4, "бес": 4, "nie": 5, "ont": 4,
}  # fmt: skip
#: Beginnings that make opposites of the same word.
OPPOSITE_STARTS = _both_ways(
    ("hyper", "hypo"), ("pre", "post"), ("over", "under"), ("in", "ex"), ("im", "ex"),
    ("in", "out"), ("up", "down"), ("anti", "pro"), ("micro", "macro"), ("inter", "intra"),
    ("homo", "hetero"), ("mono", "poly"), ("en", "dis"), ("in", "de"), ("auf", "zu"),
    ("ein", "aus"), ("an", "ab"), ("an", "aus"), ("при", "от"), ("в", "вы"), ("за", "от"),
)  # fmt: skip

_COUNTS = {
    "en": """zero=0 one=1 two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 ten=10
        eleven=11
        twelve=12 thirteen=13 fourteen=14 fifteen=15 sixteen=16 seventeen=17 eighteen=18
        nineteen=19 twenty=20 thirty=30 forty=40 fifty=50 sixty=60 seventy=70 eighty=80 ninety=90
        once=1 twice=2 first=1 second=2 third=3 fourth=4 fifth=5 sixth=6 seventh=7 eighth=8
        ninth=9 tenth=10 eleventh=11 twelfth=12 thirteenth=13 fourteenth=14 fifteenth=15
        sixteenth=16 seventeenth=17 eighteenth=18 nineteenth=19 twentieth=20 thirtieth=30
        dozen=12""",
    "de": """null=0 eins=1 zwei=2 drei=3 vier=4 fünf=5 sechs=6 sieben=7 acht=8 neun=9 zehn=10
        elf=11
        zwölf=12 zwanzig=20 dreißig=30 vierzig=40 fünfzig=50 sechzig=60 siebzig=70 achtzig=80
        neunzig=90 zweite=2 zweiten=2 dritte=3 dritten=3 vierte=4 vierten=4 fünfte=5 fünften=5""",
    "fr": """deux=2 trois=3 quatre=4 cinq=5 six=6 sept=7 huit=8 dix=10 onze=11 douze=12 vingt=20
        trente=30 quarante=40 cinquante=50  soixante=60 deuxième=2 troisième=3 quatrième=4""",
    "es": """dos=2 tres=3 cuatro=4 cinco=5 seis=6 siete=7 ocho=8 nueve=9 diez=10 once=11 doce=12
        veinte=20 treinta=30 cuarenta=40 cincuenta=50 tercero=3 tercera=3""",
    "it": """due=2 tre=3 quattro=4 cinque=5 sette=7 otto=8 nove=9 dieci=10 undici=11 dodici=12
        venti=20 trenta=30 quaranta=40 cinquanta=50""",
    "pt": """dois=2 duas=2 três=3 quatro=4 cinco=5 seis=6 sete=7 oito=8 nove=9 dez=10 onze=11
        doze=12
        vinte=20 trinta=30 quarenta=40 cinquenta=50""",
    "nl": """twee=2 drie=3 vier=4 vijf=5 zes=6 zeven=7 acht=8 negen=9 tien=10 elf=11 twaalf=12
        twintig=20 dertig=30 veertig=40 vijftig=50""",
    "pl": """dwa=2 dwie=2 trzy=3 cztery=4 pięć=5 sześć=6 siedem=7 osiem=8 dziewięć=9
        dziesięć=10""",
    "ru": """два=2 две=2 три=3 четыре=4 пять=5 шесть=6 семь=7 восемь=8 девять=9 десять=10
        одиннадцать=11 двенадцать=12 двадцать=20 тридцать=30 сорок=40 пятьдесят=50""",
    "tr": "iki=2 üç=3 dört=4 beş=5 yedi=7 sekiz=8 dokuz=9 yirmi=20 otuz=30",
}  # fmt: skip


def _numbers() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for language, counts in _COUNTS.items():
        for count in counts.split():
            word, _, value = count.partition("=")
            found.setdefault(word, {})[language] = float(value)
    return found


#: Number word → language → value.
NUMBERS = _numbers()

#: What multiplies the number before it.
SCALES = {
    "hundred": 1e2, "thousand": 1e3, "million": 1e6, "millions": 1e6, "billion": 1e9,
    "trillion": 1e12, "hundert": 1e2, "tausend": 1e3, "millionen": 1e6, "milliarden": 1e9,
    "mille": 1e3, "mil": 1e3, "millones": 1e6, "milliards": 1e9, "milioni": 1e6, "mila": 1e3,
    "milhões": 1e6, "тысяч": 1e3, "тысячи": 1e3, "тыс": 1e3, "млн": 1e6, "миллионов": 1e6,
    "миллиона": 1e6, "млрд": 1e9, "bn": 1e9, "万": 1e4, "萬": 1e4, "億": 1e8, "亿": 1e8, "만":
    1e4,
    "억": 1e8, "千": 1e3,
}  # fmt: skip

_DAY = 86400.0
_YEAR = 365.25 * _DAY
_UNIT_WORDS = {
    Unit("length", 1e-3): "mm millimeter millimeters millimetre millimetres 毫米",
    Unit("length", 1e-2): "cm centimeter centimeters centimetre centimetres zentimeter 厘米",
    Unit(
        "length", 1.0
    ): "m meter meters metre metres mètre mètres metro metros метр метров метра 米",
    Unit("length", 1e3): """km kms kilometer kilometers kilometre kilometres kilomètre kilomètres
        kilómetro kilómetros chilometri quilômetros километр километров километра км 公里 千米
        킬로미터""",
    Unit("length", 0.0254): "inch inches zoll",
    Unit("length", 0.3048): "ft foot feet",
    Unit("length", 0.9144): "yd yard yards",
    Unit("length", 1609.344): "mile miles meilen meile millas 英里 マイル",
    Unit("mass", 1e-6): "mg milligram milligrams milligramm",
    Unit("mass", 1e-9): "mcg µg microgram micrograms",
    Unit("mass", 1e-3): "g gr gram grams gramm grammes gramos грамм 克 グラム",
    Unit("mass", 1.0): "kg kgs kilo kilos kilogram kilograms kilogramm кг 公斤 千克 キログラム",
    Unit("mass", 1e3): "tonne tonnes",
    Unit("mass", 0.45359237): "lb lbs",
    Unit("mass", 0.028349523): "oz ounce ounces",
    Unit("volume", 1e-3): "ml milliliter milliliters millilitre millilitres",
    Unit("volume", 1e-2): "cl",
    Unit("volume", 1.0): "l liter liters litre litres litro litros литр литров 升",
    Unit("volume", 3.785411784): "gallon gallons gal",
    Unit("time", 1e-3): "ms millisecond milliseconds",
    Unit("time", 1.0): "s sec secs seconds sekunden secondes segundos secondi секунд 秒 秒间 초",
    Unit(
        "time", 60.0
    ): """min mins minute minutes minuten minutos minuti минут 分钟 分鐘 分間 분""",
    Unit("time", 3600.0): """h hr hrs hour hours stunde stunden heure heures hora horas ore ora час
        часа часов 小时 小時 時間 시간""",
    Unit(
        "time", _DAY
    ): """day days tag tage tagen jour jours día días giorno giorni dia dias день дня
        дней 天 日間""",
    Unit("time", 7 * _DAY): """week weeks woche wochen semaine semaines semana semanas settimane
        неделя недели недель 周 週間 주일""",
    Unit("time", _YEAR / 12): """month months monat monate monaten mois mes meses mesi mese meses
        месяц месяца месяцев 个月 か月 ヶ月 개월""",
    Unit("time", _YEAR): """year years yr yrs jahr jahre jahren ans année années año años anni anno
        ano anos год года лет""",
    Unit("data", 1.0): "kb kilobyte kilobytes",
    Unit("data", 1e3): "mb megabyte megabytes",
    Unit("data", 1e6): "gb gig gigs gigabyte gigabytes",
    Unit("data", 1e9): "tb terabyte terabytes",
    Unit("energy", 1.0): "kwh",
    Unit("power", 1.0): "watt watts",
    Unit("power", 1e3): "kw kilowatt kilowatts",
    Unit("speed", 1.0): "km/h kmh kph",
    Unit("speed", 1.609344): "mph",
    Unit("temperature", 1.0): "°c celsius centigrade",
    Unit("temperature", 5 / 9, -160 / 9): "°f fahrenheit",
    Unit(
        "share", 1.0
    ): "% percent pct per-cent prozent procent percento porcentaje процент процентов",
    Unit("dollars", 1.0): "$ usd dollar dollars",
    Unit("euros", 1.0): "€ eur euro euros",
    Unit("pounds sterling", 1.0): "£ gbp quid",
    Unit("yen", 1.0): "¥ jpy yen 円",
    Unit("rupees", 1.0): "₹ inr rupee rupees",
    Unit("won", 1.0): "₩ krw 원",
    Unit("roubles", 1.0): "₽ руб рублей рубля",
}
#: Word or sign → what it measures.
UNITS = {word: unit for unit, words in _UNIT_WORDS.items() for word in words.split()}

_MONTHS = """
    january/jan/januar/janvier/enero/gennaio/janeiro/januari/января/январь/январе
    february/feb/februar/février/febrero/febbraio/fevereiro/februari/февраля/февраль/феврале
    march/mar/märz/mars/marzo/março/maart/марта/март/марте
    april/apr/avril/abril/aprile/апреля/апрель/апреле
    may/mai/mayo/maggio/maio/mei/мая/май/мае
    june/jun/juni/juin/junio/giugno/junho/июня/июнь/июне
    july/jul/juli/juillet/julio/luglio/julho/июля/июль/июле
    august/aug/août/agosto/augustus/августа/август/августе
    september/sep/sept/septembre/septiembre/settembre/setembro/сентября/сентябрь/сентябре
    october/oct/oktober/octobre/octubre/ottobre/outubro/октября/октябрь/октябре
    november/nov/novembre/noviembre/novembro/ноября/ноябрь/ноябре
    december/dec/dezember/décembre/diciembre/dicembre/dezembro/декабря/декабрь/декабре
"""
_DAYS = """
    monday/mondays/mon/montag/lundi/lunes/lunedì/maandag/понедельник
    tuesday/tuesdays/tue/dienstag/mardi/martes/martedì/dinsdag/вторник
    wednesday/wednesdays/wed/mittwoch/mercredi/miércoles/mercoledì/woensdag/среда/среду
    thursday/thursdays/thu/donnerstag/jeudi/jueves/giovedì/donderdag/четверг
    friday/fridays/fri/freitag/vendredi/viernes/venerdì/vrijdag/пятница/пятницу
    saturday/saturdays/sat/samstag/samedi/sábado/sabato/zaterdag/суббота/субботу
    sunday/sundays/sun/sonntag/dimanche/domingo/domenica/zondag/воскресенье
"""
#: Names of months and days of the week → which; those that are other words too want a capital.
CALENDAR = {
    name: (kind, number)
    for kind, lines in (("month", _MONTHS), ("day", _DAYS))
    for number, line in enumerate(lines.split(), 1)
    for name in line.split("/")
}

#: Other names of the same thing.
ALIASES = {
    "usa": "us", "u.s": "us", "america": "us", "american": "us", "americans": "us", "states":
    "us",
    "british": "uk", "britain": "uk", "english": "england", "french": "france",
    "german": "germany", "spanish": "spain", "italian": "italy", "european": "eu", "europe": "eu",
    "chinese": "china", "japanese": "japan", "russian": "russia", "indian": "india",
}  # fmt: skip

#: Opposites in scripts without spaces, looked for as parts of the text.
OPPOSITE_PARTS = tuple(
    (pair.partition("/")[0], pair.partition("/")[2])
    for pair in _words("""
    之前/之后 以前/以后 以前/以後 以上/以下 打开/关闭 開く/閉じる 増やす/減らす 増加/減少
    增加/减少 最大/最小 最高/最低
    左边/右边 左側/右側 上午/下午 午前/午後 购买/出售 購入/販売 允许/禁止 開始/終了 开始/结束
    进口/出口 輸入/輸出
    启用/禁用 有効/無効 北部/南部 東部/西部 东部/西部 白天/晚上 男性/女性 優點/缺點 优点/缺点
    入口/出口
    """)
)
#: Single characters that are opposites where they are all that differs.
OPPOSITE_CHARACTERS = frozenset(
    frozenset(pair.split("/"))
    for pair in _words("""
    多/少 大/小 高/低 前/后 前/後 左/右 上/下 开/关 開/閉 開/關 买/卖 買/賣 売/買 早/晚 男/女
    增/減 增/减 増/減
    东/西 東/西 南/北 入/出 进/出 快/慢 冷/热 新/旧 好/坏 强/弱 強/弱 长/短 長/短""")
)

#: Words between two things that may change places without changing the sense.
JOINING = frozenset(
    _words("""
    and or & vs versus with nor plus und oder et ou y e o u ed en of i oraz lub и или ve veya
    between
    is are was were be been est était es era son ist war sind é foi är a an the de la le el""")
)
#: Words that give a direction: what stands on either side may not change places.
DIRECTIONS = frozenset(
    _words("""
    to from than by before after into onto towards nach vor vers avant après hacia antes después
    verso prima dopo para depois naar dan до после""")
)
#: The same in scripts without spaces.
DIRECTION_PARTS = ("到", "至", "比", "から", "まで", "へ", "より", "에서", "보다")
#: Languages whose words carry no case: order alone says who did what to whom.
CASELESS = ("en", "fr", "es", "it", "pt", "nl")
