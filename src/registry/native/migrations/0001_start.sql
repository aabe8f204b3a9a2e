CREATE TABLE storages (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    options_name TEXT,
    created_at TEXT NOT NULL
) STRICT;

-- One row per key: the stem of its uids and the number of its next version. Numbers of removed
-- versions are not given again while the key has any version.
CREATE TABLE families (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    stem TEXT NOT NULL UNIQUE,
    next_version INTEGER NOT NULL
) STRICT;

CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    family_id INTEGER NOT NULL REFERENCES families (id) ON DELETE RESTRICT,
    uid TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    is_latest INTEGER NOT NULL CHECK (is_latest IN (0, 1)),
    suffix TEXT NOT NULL,
    kind TEXT NOT NULL,
    url TEXT NOT NULL,
    size INTEGER NOT NULL,
    n_files INTEGER,
    n_observations INTEGER,
    etag TEXT NOT NULL,
    description TEXT,
    created_at TEXT NOT NULL,
    UNIQUE (family_id, version)
) STRICT;
CREATE UNIQUE INDEX artifacts_latest ON artifacts (family_id) WHERE is_latest = 1;
CREATE INDEX artifacts_key ON artifacts (key, version);
CREATE INDEX artifacts_url ON artifacts (url);

CREATE TABLE files (
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    PRIMARY KEY (artifact_id, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE labels (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE artifact_labels (
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    label_id INTEGER NOT NULL REFERENCES labels (id) ON DELETE RESTRICT,
    PRIMARY KEY (artifact_id, label_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_labels_label ON artifact_labels (label_id);

CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL UNIQUE,
    description TEXT,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE collection_members (
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE RESTRICT,
    PRIMARY KEY (collection_id, position),
    UNIQUE (collection_id, artifact_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX collection_members_artifact ON collection_members (artifact_id);

CREATE TABLE indexes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identity TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (identity, name)
) STRICT;
CREATE INDEX indexes_size ON indexes (id, size);

CREATE VIRTUAL TABLE artifact_search USING fts5 (key, description, labels);
