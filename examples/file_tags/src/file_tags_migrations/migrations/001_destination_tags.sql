-- 001: a destination can have tags. They go with it when it is deleted.
-- requires: file_organizer:1

CREATE TABLE destination_tags (
    destination_id TEXT NOT NULL REFERENCES destinations (id) ON DELETE CASCADE,
    tag TEXT NOT NULL COLLATE NOCASE CHECK (tag <> ''),
    PRIMARY KEY (destination_id, tag)
) WITHOUT ROWID;

CREATE INDEX destination_tags_by_tag ON destination_tags (tag);
