-- What sliceflight knows of one state of a LaminDB instance. Written once, then only read.
CREATE TABLE storages (
    url TEXT NOT NULL,
    options TEXT NOT NULL
) STRICT;

CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    -- As it is served: with the name of the instance, and the uid of an artifact that has no key.
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    version_tag TEXT,
    is_latest INTEGER NOT NULL,
    branch INTEGER NOT NULL,
    suffix TEXT NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    size INTEGER,
    n_files INTEGER,
    n_observations INTEGER,
    hash TEXT,
    hash_type TEXT,
    refusal TEXT,
    description TEXT,
    created_at TEXT NOT NULL,
    handle TEXT,
    name TEXT
) STRICT;

CREATE TABLE labels (
    id INTEGER PRIMARY KEY,
    -- ULabel or Record.
    registry TEXT NOT NULL,
    uid TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    branch INTEGER NOT NULL
) STRICT;

CREATE TABLE artifact_labels (
    artifact_id INTEGER NOT NULL,
    label_id INTEGER NOT NULL,
    feature TEXT
) STRICT;

CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    version_tag TEXT,
    is_latest INTEGER NOT NULL,
    branch INTEGER NOT NULL,
    description TEXT,
    created_at TEXT NOT NULL,
    handle TEXT,
    name TEXT
) STRICT;

CREATE TABLE collection_members (
    collection_id INTEGER NOT NULL,
    -- From 0, in the order in which they were put in.
    position INTEGER NOT NULL,
    artifact_id INTEGER NOT NULL,
    PRIMARY KEY (collection_id, position)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE artifact_search USING fts5 (key, description, labels);
