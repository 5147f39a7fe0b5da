"""Every SQL statement of qkv, by name."""

from __future__ import annotations

#: Marks the file as ours: "qkv\0" as a number, in SQLite's application_id.
APPLICATION_ID = 0x716B7600

#: Append-only: entry i brings a file of version i to version i + 1. Never change an entry.
MIGRATIONS = (
    """
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE records (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        key     TEXT NOT NULL UNIQUE,
        kind    TEXT NOT NULL,
        value   NOT NULL,
        version INTEGER NOT NULL
    );
    CREATE INDEX records_by_version ON records (version);
    CREATE TABLE vectors (
        id      INTEGER PRIMARY KEY,
        vector  BLOB NOT NULL,
        version INTEGER NOT NULL
    );
    CREATE TABLE deletions (id INTEGER PRIMARY KEY, version INTEGER NOT NULL);
    CREATE TABLE clock (
        version INTEGER NOT NULL,
        floor   INTEGER NOT NULL,
        count   INTEGER NOT NULL,
        writer  TEXT NOT NULL
    );
    INSERT INTO clock VALUES (0, 0, 0, '');
    """,
    """
    ALTER TABLE records ADD COLUMN metadata TEXT;
    ALTER TABLE clock ADD COLUMN words INTEGER NOT NULL DEFAULT 0;
    """,
    """
    CREATE TABLE corrections (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        query   TEXT UNIQUE,
        vector  BLOB NOT NULL,
        record  TEXT,
        kind    TEXT,
        value,
        bad     TEXT NOT NULL DEFAULT '[]',
        version INTEGER NOT NULL
    );
    CREATE TABLE projections (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        width   INTEGER NOT NULL,
        query   BLOB,
        key     BLOB,
        newest  INTEGER NOT NULL,
        report  TEXT NOT NULL
    );
    """,
    """
    ALTER TABLE projections ADD COLUMN trial_query BLOB;
    ALTER TABLE projections ADD COLUMN trial_key BLOB;
    """,
    """
    CREATE TABLE questions (
        id      INTEGER PRIMARY KEY,
        query   TEXT,
        vector  BLOB NOT NULL,
        record  TEXT,
        kind    TEXT,
        value
    );
    """,
    """
    ALTER TABLE vectors ADD COLUMN of_value BLOB;
    """,
)

GET = "SELECT kind, value FROM records WHERE key = ?"
HAS = "SELECT 1 FROM records WHERE key = ?"
COUNT = "SELECT count FROM clock"
PAGE = "SELECT id, key, kind, value, metadata FROM records WHERE id > ? ORDER BY id LIMIT 1000"
PAGE_BACK = """
    SELECT id, key, kind, value, metadata FROM records WHERE id < ? ORDER BY id DESC LIMIT 1000
"""
# Keys are asked for by placeholders: json_each would cut them at a NUL character.
AT_ONCE = 500
KNOWN = f"SELECT key FROM records WHERE key IN ({','.join('?' * AT_ONCE)})"  # noqa: S608
RECORDS = """
    SELECT id, key, kind, value, metadata FROM records
    WHERE id IN (SELECT value FROM json_each(?))
"""
KEYS = "SELECT id, key FROM records WHERE id IN (SELECT value FROM json_each(?))"
METADATA = "SELECT metadata FROM records WHERE key = ?"
COUNT_METADATA = "SELECT count(*) FROM records WHERE metadata <> '{}'"
ID = "SELECT id FROM records WHERE key = ?"
VECTOR = "SELECT v.vector FROM vectors v JOIN records r USING (id) WHERE r.key = ?"

PUT = """
    INSERT INTO records (key, kind, value, metadata, version) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, value = excluded.value,
                                    metadata = ifnull(excluded.metadata, metadata),
                                    version = excluded.version
"""
PUT_NEW = """
    INSERT INTO records (key, kind, value, metadata, version) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
PUT_VECTOR = """
    INSERT OR REPLACE INTO vectors (id, vector, version)
    SELECT id, ?, ? FROM records WHERE key = ?
"""
NEW_VECTOR = "INSERT INTO vectors (id, vector, of_value, version) VALUES (?, ?, ?, ?)"
# Of a record that this transaction wrote, where its value has another vector now.
PUT_OF_VALUE = """
    UPDATE vectors SET of_value = ?1, version = ?2
    WHERE id = (SELECT id FROM records WHERE key = ?3 AND version = ?2) AND of_value IS NOT ?1
"""
WITHOUT_VECTOR = """
    SELECT key FROM records LEFT JOIN vectors USING (id)
    WHERE records.version = ? AND vectors.id IS NULL
"""
NEWEST = "SELECT ifnull(max(id), 0) FROM records"
NEWER = "SELECT min(id), count(*) FROM records WHERE id > ?"
POP = "DELETE FROM records WHERE key = ? RETURNING id, key, kind, value"
POP_LAST = """
    DELETE FROM records WHERE id = (SELECT max(id) FROM records) RETURNING id, key, kind, value
"""
DROP_VECTOR = "DELETE FROM vectors WHERE id = ?"
NOTE_DELETION = "INSERT OR REPLACE INTO deletions (id, version) VALUES (?, ?)"

NO_TICK = "SELECT version, words FROM clock"
TICK = "UPDATE clock SET version = version + 1 RETURNING version, words"
GREW = "UPDATE clock SET count = count + ?"
CLAIM = "UPDATE clock SET writer = ? WHERE writer <> ?"
WRITER = "SELECT writer FROM clock"
CLEAR = (
    "DELETE FROM records",
    "DELETE FROM vectors",
    "DELETE FROM deletions",
    "DELETE FROM corrections",
    "DELETE FROM questions",
    "UPDATE clock SET count = 0, floor = version",
)
# Where nothing is forgotten, what was derived before can still be caught up.
FORGET = (
    "UPDATE clock SET floor = version WHERE EXISTS (SELECT 1 FROM deletions)",
    "DELETE FROM deletions",
)
CLOCK = "SELECT version, floor, count, words FROM clock"

CHANGED = """
    SELECT r.id, r.kind, r.value, CASE WHEN v.version > ?1 THEN v.vector END, v.of_value
    FROM records r JOIN vectors v USING (id) WHERE r.version > ?1 ORDER BY +r.id
"""
# Two scans side by side read twice as fast as a join.
EVERY_VALUE = "SELECT id, kind, value FROM records ORDER BY id"
EVERY_VECTOR = "SELECT id, vector, of_value FROM vectors ORDER BY id"
COUNT_DELETED = "SELECT count(*) FROM deletions WHERE version > ?"
DELETED = "SELECT id FROM deletions WHERE version > ?"

SETTINGS = "SELECT name, value FROM settings"
BEGIN = "INSERT OR IGNORE INTO settings (name, value) VALUES (?, ?)"
KEEP = "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)"
SETTING = "SELECT value FROM settings WHERE name = ?"

# ── corrections, and what was learned ────────────────────────────────────────────────────────────

# A correction that names an answer is a record that the dict does not show. Its id is negative.
EVERY_CORRECTION = """
    SELECT -1 - id, kind, value, vector, NULL FROM corrections
    WHERE kind IS NOT NULL ORDER BY id DESC
"""
CHANGED_CORRECTIONS = """
    SELECT -1 - id, kind, value, vector, NULL FROM corrections
    WHERE kind IS NOT NULL AND version > ? ORDER BY id DESC
"""
COUNT_CORRECTIONS = "SELECT count(*) FROM corrections WHERE kind IS NOT NULL"
COUNT_CORRECTED = "SELECT count(*) FROM corrections"
ANY_CORRECTION = "SELECT 1 FROM corrections LIMIT 1"
CORRECT = """
    INSERT INTO corrections (query, vector, record, kind, value, bad, version)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (query) DO UPDATE SET vector = excluded.vector, record = excluded.record,
        kind = excluded.kind, value = excluded.value, bad = excluded.bad, version = excluded.version
"""
CORRECTION = "SELECT id, record, kind, value, bad FROM corrections WHERE query = ?"
CORRECTIONS = "SELECT id, query, vector, record, kind, value, bad FROM corrections ORDER BY id"
CORRECTED_QUERIES = """
    SELECT -1 - id, ifnull(query, '(a vector)') FROM corrections
    WHERE -1 - id IN (SELECT value FROM json_each(?))
"""
CORRECTED_RECORDS = """
    SELECT -1 - c.id, r.id FROM corrections c JOIN records r ON r.key = c.record
    WHERE -1 - c.id IN (SELECT value FROM json_each(?))
"""
DROP_CORRECTIONS = "DELETE FROM corrections WHERE record = ? RETURNING id"
QUESTIONS = "SELECT query, vector, record, kind, value FROM questions ORDER BY id"
COUNT_QUESTIONS = "SELECT count(*) FROM questions"
FORGET_QUESTIONS = "DELETE FROM questions"
ADD_QUESTION = "INSERT INTO questions (query, vector, record, kind, value) VALUES (?, ?, ?, ?, ?)"
KEEP_PROJECTION = """
    INSERT INTO projections (width, query, key, trial_query, trial_key, newest, report)
    VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id
"""
PROJECTION = """
    SELECT width, query, key, trial_query, trial_key, newest, report FROM projections WHERE id = ?
"""
PROJECTIONS = "SELECT id, report FROM projections ORDER BY id"
DROP_PROJECTION = "DELETE FROM projections WHERE id = ?"
PREVIOUS_PROJECTION = "SELECT ifnull(max(id), 0) FROM projections WHERE id < ?"
VECTORS_OF = """
    SELECT id, vector FROM vectors WHERE id IN (SELECT value FROM json_each(?))
"""

# ── keyword search ───────────────────────────────────────────────────────────────────────────────

# Texts come as tokens with spaces between, and leave the tokenizer as they came: of ASCII it keeps
# letters and digits, of the rest everything. Each commit makes a small segment; merging them four
# at a time, as is the default, would make one put in a hundred ten times as slow as the others.
BEGIN_WORDS = (
    "CREATE VIRTUAL TABLE {schema}.words USING fts5 (key, value, tokenize = 'ascii')",
    "INSERT INTO {schema}.words (words, rank) VALUES ('automerge', 16)",
    "CREATE VIRTUAL TABLE {schema}.postings USING fts5vocab (words, instance)",
    "CREATE VIRTUAL TABLE {schema}.vocabulary USING fts5vocab (words, row)",
)
END_WORDS = (
    "DROP TABLE IF EXISTS main.postings",
    "DROP TABLE IF EXISTS main.vocabulary",
    "DROP TABLE IF EXISTS main.words",
    "UPDATE clock SET words = 0",
)
WORDS_BEGUN = "UPDATE clock SET words = ?"
TEMPORARY_WORDS = "SELECT 1 FROM temp.sqlite_master WHERE name = 'words'"
DROP_TEMPORARY_WORDS = (
    "DROP TABLE IF EXISTS temp.postings",
    "DROP TABLE IF EXISTS temp.vocabulary",
    "DROP TABLE IF EXISTS temp.words",
)
TEXTS = "SELECT id, key, kind, value FROM records ORDER BY id"
# The plus keeps SQLite from reading all records in order rather than the few that are new.
TEXTS_SINCE = "SELECT id, key, kind, value FROM records WHERE version > ? ORDER BY +id"
COUNT_SINCE = "SELECT count(*) FROM records WHERE version > ?"
TEXTS_OF = "SELECT id, key, kind, value FROM records WHERE version = ?"
PUT_WORDS = "INSERT OR REPLACE INTO words (rowid, key, value) VALUES (?, ?, ?)"
DROP_WORDS = "DELETE FROM words WHERE rowid = ?"
LENGTHS = "SELECT id, sz FROM words_docsize ORDER BY id"
VOCABULARY = "SELECT term FROM vocabulary"
# One row instead of thousands: Python takes longer to fetch rows than SQLite to find them.
POSTINGS = "SELECT group_concat(doc) FROM postings WHERE term = ?"
POSTINGS_IN = POSTINGS + " AND col = ?"

# ── filters ──────────────────────────────────────────────────────────────────────────────────────

MATCHING = "SELECT group_concat(id) FROM records WHERE {condition}"
INDEX_FIELD = "CREATE INDEX IF NOT EXISTS {name} ON records ({expression})"
HAS_INDEX = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?"

# ── space ────────────────────────────────────────────────────────────────────────────────────────

FREE = "SELECT * FROM pragma_freelist_count, pragma_page_count"
GIVE_BACK = "PRAGMA incremental_vacuum({pages})"
VACUUM = "VACUUM"
SHORTEN_LOG = "PRAGMA wal_checkpoint(TRUNCATE)"
WAIT = "PRAGMA busy_timeout = {milliseconds}"
