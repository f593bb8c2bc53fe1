"""Decisions of policyd, in segments, read by DuckDB and by `policyd decisions export`: both must give the same."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.request

import duckdb

program, directory = sys.argv[1], pathlib.Path(sys.argv[2])
data = directory / "data"
DECISIONS = 3000

environment = {
    "DATA_DIR": str(data),
    "DECISION_LOG": "segments",
    "DECISION_LOG_SEAL_AFTER": "200ms",
    "DECISION_LOG_SEAL_BYTES": "1MB",
    "PORT": "0",
    "GRPC_PORT": "0",
    "METRICS_PORT": "0",
    "POLICIES": str(pathlib.Path(__file__).parent / "policies"),
    "LOG_FORMAT": "json",
}


def fail(message):
    print(f"ci/parquet.sh: FAILED: {message}")
    sys.exit(1)


log = open(directory / "log", "w")
server = subprocess.Popen([program], env=environment, stderr=log, stdout=log)


def rest_port():
    found = re.search(r'"rest":"[^"]*:(\d+)"', (directory / "log").read_text())
    return found and int(found.group(1))


def ask(port, path, body=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


try:
    for _ in range(300):
        if rest_port() or server.poll() is not None:
            break
        time.sleep(0.1)
    rest = rest_port()
    if not rest:
        fail("policyd does not listen: " + (directory / "log").read_text())
    for n in range(DECISIONS // 100):
        contexts = [
            {"metadata": {"weight": m % 13, "n": n}, "llm": {"model": "m", "prompt": "né"}} for m in range(100)
        ]
        ask(rest, "/api/v1/evaluate/batch", {"contexts": contexts})
finally:
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=30)

# What was not sealed before the stop is sealed by the next start.
server = subprocess.Popen([program], env=environment, stderr=log, stdout=log)
journal = data / "decisions-journal"
try:
    for _ in range(300):
        if journal.exists() and [p.name for p in journal.iterdir()] == ["lock"]:
            break
        time.sleep(0.1)
finally:
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=30)

exported = subprocess.run([program, "decisions", "export"], env=environment, capture_output=True, text=True, check=True)
lines = [json.loads(line) for line in exported.stdout.splitlines()]
if len(lines) != DECISIONS or len({line["id"] for line in lines}) != DECISIONS:
    fail(f"{len(lines)} exported of {DECISIONS}")

database = duckdb.connect()
page = pathlib.Path("docs/segments.md").read_text()
queries = re.findall(r"```sql\n(.*?)```", page, re.S)
if len(queries) < 3:
    fail("docs/segments.md has no queries")
# The page names the default folder, and a bucket that is nobody's.
queries = [query for query in queries if "s3://" not in query]
queries = [query.replace("data/decisions/", f"{data}/decisions/") for query in queries]
for query in queries:
    database.sql(query).fetchall()

table = f"read_parquet('{data}/decisions/*/*.parquet', hive_partitioning = true)"
rows = database.sql(
    f"SELECT id, epoch_ms(timestamp), requestId, namespace, subject, decision, reason, matchedRules, matchedPolicies, errors, "
    f"revision, evaluationTimeMs, cached, context, CAST(day AS VARCHAR) FROM {table} ORDER BY id DESC"
).fetchall()
if len(rows) != DECISIONS:
    fail(f"DuckDB reads {len(rows)} of {DECISIONS}")
for row, line in zip(rows, lines):
    named = {
        "id": row[0],
        "requestId": row[2],
        "namespace": row[3],
        "subject": row[4],
        "decision": row[5],
        "matchedRules": row[7],
        "matchedPolicies": row[8],
        "errors": row[9],
        "revision": row[10],
        "cached": row[12],
    }
    for name, value in named.items():
        if line[name] != value:
            fail(f"{name}: {value!r} in the segment, {line[name]!r} exported")
    if line.get("reason") != row[6] or line.get("context") != (json.loads(row[13]) if row[13] else None):
        fail(f"reason or context of {row[0]}")
    if abs(line["evaluationTimeMs"] - row[11]) > 1e-9 or line["timestamp"][:10] != row[14]:
        fail(f"times of {row[0]}: {row[11]}, {row[14]}")
counted = dict(database.sql(f"SELECT decision, count(*) FROM {table} GROUP BY decision").fetchall())
expected = {}
for line in lines:
    expected[line["decision"]] = expected.get(line["decision"], 0) + 1
if counted != expected or set(counted) != {"allow", "warn", "deny"}:
    fail(f"{counted} counted, {expected} exported")
files = len(list((data / "decisions").glob("*/*.parquet")))
print(f"ci/parquet.sh: ok: DuckDB {duckdb.__version__} reads {DECISIONS} decisions in {files} segments as they were exported")
