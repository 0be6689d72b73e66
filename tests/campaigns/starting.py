"""One of many processes that start at once (`python starting.py DATABASE PACK GO`): waits for GO, migrates, says what it did."""

import sys
import time
from pathlib import Path

from homie_migrations_core import MigrationPack, MigrationRunner, execution  # noqa: F401  (imported before the race)

database, folder, go = sys.argv[1:4]
runner = MigrationRunner(database, [MigrationPack("raced", Path(folder))], lock_timeout=60)
print("ready", flush=True)
deadline = time.monotonic() + 60
while not Path(go).exists() and time.monotonic() < deadline:
    time.sleep(0.001)
for migration in runner.apply():
    print(migration.ref, flush=True)
