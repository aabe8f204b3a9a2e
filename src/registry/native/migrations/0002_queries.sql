-- Who made what; empty for what was there before.
ALTER TABLE artifacts ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
ALTER TABLE collections ADD COLUMN created_by TEXT NOT NULL DEFAULT '';

-- When an artifact was moved to the trash. What is there is never the latest version.
ALTER TABLE artifacts ADD COLUMN trashed_at TEXT;

-- Listings go by key, newest version first. The uids of a key sort as its versions do.
DROP INDEX artifacts_key;
CREATE INDEX artifacts_key ON artifacts (key, uid DESC);
CREATE INDEX artifacts_listed ON artifacts (key, uid DESC) WHERE is_latest = 1;
CREATE INDEX artifacts_trashed ON artifacts (key, uid DESC) WHERE trashed_at IS NOT NULL;
CREATE INDEX artifacts_suffix ON artifacts (suffix, key, uid DESC) WHERE is_latest = 1;
CREATE INDEX artifacts_kind ON artifacts (kind, key, uid DESC) WHERE is_latest = 1;
CREATE INDEX artifacts_created_by ON artifacts (created_by, key, uid DESC) WHERE is_latest = 1;
CREATE INDEX artifacts_created_at ON artifacts (created_at);
CREATE INDEX artifacts_size ON artifacts (size);
CREATE INDEX artifacts_n_observations ON artifacts (n_observations);

-- A label of an artifact has one row with feature '', and one more for each feature of which it is the value
-- there. `by_itself` says of the first whether the label was given without a feature too. Key, uid and
-- is_latest repeat the artifact's, so that the artifacts of a label are found in order.
CREATE TABLE labelled (
    artifact_id INTEGER NOT NULL REFERENCES artifacts (id) ON DELETE CASCADE,
    label_id INTEGER NOT NULL REFERENCES labels (id) ON DELETE RESTRICT,
    feature TEXT NOT NULL,
    by_itself INTEGER NOT NULL CHECK (by_itself IN (0, 1)),
    is_latest INTEGER NOT NULL CHECK (is_latest IN (0, 1)),
    key TEXT NOT NULL,
    uid TEXT NOT NULL,
    PRIMARY KEY (artifact_id, label_id, feature)
) STRICT, WITHOUT ROWID;
INSERT INTO labelled
    SELECT m.artifact_id, m.label_id, '', 1, a.is_latest, a.key, a.uid
    FROM artifact_labels m JOIN artifacts a ON a.id = m.artifact_id;
DROP TABLE artifact_labels;
CREATE INDEX labelled_any ON labelled (label_id, feature, key, uid DESC);
CREATE INDEX labelled_latest ON labelled (label_id, feature, key, uid DESC) WHERE is_latest = 1;

CREATE TRIGGER artifacts_is_latest AFTER UPDATE OF is_latest ON artifacts
WHEN new.is_latest <> old.is_latest
BEGIN
    UPDATE labelled SET is_latest = new.is_latest WHERE artifact_id = new.id;
END;
