#!/usr/bin/env bash
# Replays an export of the decision log with examples/spark/replay.py on two executors of their own (`local-cluster`), and
# compares with what `policyc diff` says on one machine: the counts have to be equal.
#
#   ci/spark.sh [DECISIONS]        20000 when absent
#
# The decisions are real: policyd makes them of varied requests of benches/workloads and exports them. PySpark comes from PyPI, once, into
# target/ci-tools (500 MB); Java 17 or later is on the machine or comes from Debian. Ends with 77 where one of them cannot be had; the last line
# says why.
set -euo pipefail
cd "$(dirname "$0")/.."
decisions=${1:-20000}
tools=$PWD/target/ci-tools
mkdir -p "$tools"
log=$tools/log-spark
package=pyspark==4.3.0

java_of() { "$1" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1; }
is_java() { local version; version=$(java_of "$1" 2>/dev/null) && [ "${version:-0}" -ge 17 ]; }
if [ -n "${JAVA_HOME:-}" ] && is_java "$JAVA_HOME/bin/java"; then
  :
elif is_java java; then
  unset JAVA_HOME
else
  if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
    { timeout 120 apt-get update -qq &&
      timeout 200 env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless; } >"$log" 2>&1 || true
  fi
  unset JAVA_HOME
  is_java java || { echo "skipped: no Java 17 or later, and it cannot be installed"; exit 77; }
fi
folder=$tools/spark
if [ "$(cat "$folder/packages" 2>/dev/null)" != "$package" ]; then
  rm -rf "$folder"
  { python3 -m venv "$folder" && timeout 300 "$folder/bin/pip" install -q "$package"; } >"$log" 2>&1 ||
    { rm -rf "$folder"; echo "skipped: PySpark cannot be installed: $(tail -n 1 "$log")"; exit 77; }
  echo "$package" >"$folder/packages"
fi
python=$folder/bin/python

# POLICYC_DIR: a directory with a `policyc` and a `policyd` to use instead of building these.
if [ -z "${POLICYC_DIR:-}" ]; then
  cargo build --locked --quiet --workspace --bin policyc --bin policyd
  POLICYC_DIR=${CARGO_TARGET_DIR:-target}/debug
fi
bin=$(cd "$POLICYC_DIR" && pwd)

work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

old=$work/old.yaml new=$work/new.yaml
cp benches/workloads/gateway-20/policy.yaml "$old"
# Another price limit, and a team that is blocked no more.
sed -e 's/value: 5\.0$/value: 2.5/' -e '/- team-5693$/d' "$old" >"$new"
cmp -s "$old" "$new" && { echo "the new policies are the old ones"; exit 1; }

# Real decisions, with the contexts that they were made on.
mapfile -t ports < <("$python" - <<'PY'
import socket
held = [socket.socket() for _ in range(3)]
for s in held:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])
PY
)
settings=(DATA_DIR="$work/data" DECISION_LOG=segments DECISION_LOG_SEAL_AFTER=500ms DECISION_LOG_CONTEXT=full LOG_LEVEL=warn)
mkdir "$work/data"
env "${settings[@]}" PORT="${ports[0]}" GRPC_PORT="${ports[1]}" METRICS_PORT="${ports[2]}" "$bin/policyd" >"$work/server" 2>&1 &
server=$!
begin=$SECONDS
"$python" - "http://127.0.0.1:${ports[0]}" "$old" "$decisions" <<'PY' || { cat "$work/server"; exit 1; }
import json, random, sys, time, urllib.request
base, policy, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

def send(path, body, kind):
    request = urllib.request.Request(base + path, body, {"content-type": kind})
    return json.load(urllib.request.urlopen(request, timeout=60))

for attempt in range(100):
    try:
        send("/api/v1/policies", open(policy, "rb").read(), "application/yaml")
        break
    except urllib.error.HTTPError as error:
        sys.exit(f"the policy is refused: {error.read()}")
    except OSError:
        time.sleep(0.1)
else:
    sys.exit("policyd does not answer")
chance = random.Random(7)
teams = ["team-5693", "team-8782", "team-1"]
sent = [json.loads(line) for line in open("benches/workloads/gateway-20/contexts.jsonl")]
decided = {}
for start in range(0, count, 500):
    contexts = []
    for _ in range(min(500, count - start)):
        context = json.loads(json.dumps(chance.choice(sent)))
        context["llm"]["estimatedCost"] = round(chance.expovariate(0.4), 4)
        context["llm"]["maxTokens"] = chance.choice([256, 4096, 20000])
        context["llm"]["prompt"] = context["llm"]["prompt"][: chance.randrange(20, 400)]
        context["team"]["id"] = chance.choice(teams)
        contexts.append(context)
    for answer in send("/api/v1/evaluate/batch", json.dumps({"contexts": contexts}).encode(), "application/json")["results"]:
        decision = answer["decision"]["decision"]
        decided[decision] = decided.get(decision, 0) + 1
print("decided by policyd:", json.dumps(decided, sort_keys=True))
PY
# Until all of it is sealed. SIGTERM writes out what there may be still.
for _ in {1..100}; do
  sleep 0.2
  [ "$(ls "$work/data/decisions-journal")" = lock ] && break
done
kill "$server"
wait "$server" || { cat "$work/server"; exit 1; }
server=
env "${settings[@]}" "$bin/policyd" decisions export --output "$work/export.jsonl"
lines=$(wc -l <"$work/export.jsonl")
[ "$lines" -eq "$decisions" ] || { echo "$lines of $decisions decisions are in the export"; exit 1; }
echo "$lines decisions, $(du -h "$work/export.jsonl" | cut -f 1), made and exported in $((SECONDS - begin)) s"

begin=$SECONDS
status=0
"$bin/policyc" diff "$old" "$new" --contexts "$work/export.jsonl" --format json >"$work/diff.json" || status=$?
[ "$status" -eq 1 ] || { echo "policyc diff ended with $status, and 1 was expected"; exit 1; }
echo "policyc diff on one machine: $((SECONDS - begin)) s"

begin=$SECONDS
# A home of its own: Spark leaves nothing in the tree.
(
  cd "$work" &&
    SPARK_LOCAL_IP=127.0.0.1 SPARK_LOCAL_DIRS=$work/spark PYSPARK_PYTHON=$python "$folder/bin/spark-submit" \
      --master 'local-cluster[2,1,1024]' --conf spark.ui.enabled=false --conf spark.executor.memory=1024m \
      "$OLDPWD/examples/spark/replay.py" --policyc "$bin/policyc" --old "$old" --new "$new" --partitions 4 \
      --out "$work/changed" "$work/export.jsonl"
) >"$work/replay.json" 2>"$work/spark.log" || { tail -n 40 "$work/spark.log"; exit 1; }
echo "replay on two executors: $((SECONDS - begin)) s, with the start of Spark"
cat "$work/replay.json"

"$python" - "$work/diff.json" "$work/replay.json" "$decisions" "$work/changed" <<'PY'
import collections, glob, json, sys
diff, replay = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
verbs = collections.Counter()
for decision in diff["decisions"]:
    for aspect in decision["aspects"]:
        if aspect["what"] == "decision":
            verbs[f"{aspect['old']} -> {aspect['new']}"] += 1
ours = {change: count for change, count in replay["changes"].items() if len(set(change.split(" -> "))) == 2}
changed = [json.loads(line) for path in glob.glob(sys.argv[4] + "/part-*") for line in open(path)]
assert replay["contexts"] == diff["contexts"] == int(sys.argv[3]), (replay, diff["contexts"])
assert replay["different"] == len(diff["decisions"]) == len(changed) > 0, (replay, len(diff["decisions"]), len(changed))
assert replay["undecided"] == 0, replay
assert ours == dict(verbs) and verbs, (ours, verbs)
ids = {json.loads(line)["requestId"] for line in open(sys.argv[2].replace("replay.json", "export.jsonl"))}
assert {line["requestId"] for line in changed} <= ids
print(f"equal: {replay['different']} of {replay['contexts']} decided differently; {dict(verbs)}")
PY

# The segments themselves, as Spark reads them.
cat >"$work/read.py" <<'PY'
import collections, json, sys
from pyspark.sql import SparkSession
from pyspark.sql.functions import explode
spark = SparkSession.builder.getOrCreate()
log = spark.read.parquet(sys.argv[1])
read = {row["decision"]: row["count"] for row in log.groupBy("decision").count().collect()}
rules = {row["col"]: row["count"] for row in log.select(explode("matchedRules")).groupBy("col").count().collect()}
days = {str(row["day"]) for row in log.select("day").distinct().collect()}
spark.stop()
lines = [json.loads(line) for line in open(sys.argv[2])]
assert read == dict(collections.Counter(line["decision"] for line in lines)), read
assert rules == dict(collections.Counter(rule for line in lines for rule in line["matchedRules"])), rules
assert days == {line["timestamp"][:10] for line in lines}, days
print(f"Spark reads the segments as they are: {read}, {len(rules)} rules")
PY
SPARK_LOCAL_IP=127.0.0.1 SPARK_LOCAL_DIRS=$work/spark PYSPARK_PYTHON=$python "$folder/bin/spark-submit" --master 'local[2]' \
  --conf spark.ui.enabled=false "$work/read.py" "$work/data/decisions" "$work/export.jsonl" 2>"$work/spark.log" ||
  { tail -n 40 "$work/spark.log"; exit 1; }

# A program that loses a line fails the replay.
cat >"$work/loses" <<SH
#!/bin/sh
"$bin/policyc" "\$@" | sed '\$d'
SH
chmod +x "$work/loses"
if SPARK_LOCAL_IP=127.0.0.1 SPARK_LOCAL_DIRS=$work/spark PYSPARK_PYTHON=$python "$folder/bin/spark-submit" --master 'local[2]' \
  --conf spark.ui.enabled=false examples/spark/replay.py --policyc "$work/loses" --old "$old" --new "$new" \
  examples/contexts/contexts.jsonl >"$work/lost" 2>"$work/spark.log"; then
  cat "$work/lost"
  echo "a replay that lost lines ended with 0"
  exit 1
fi
grep -q 'different number of items' "$work/spark.log" || { tail -n 20 "$work/spark.log"; echo "the replay failed for another reason"; exit 1; }
echo "a program that loses a line fails the replay"

# What the README says, as it is pasted.
SPARK_LOCAL_IP=127.0.0.1 PATH=$folder/bin:$PATH POLICYC_DIR=$bin docs/run-snippets.sh examples/spark/README.md
