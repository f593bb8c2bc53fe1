#!/usr/bin/env python3
"""What would change: decides an export of the decision log again under two policy sets, on Spark.

    replay.py --old OLD --new NEW [--policyc PATH] [--out DIRECTORY] EXPORT...

EXPORT are JSON lines of `policyd decisions export`, or contexts: files, folders or URLs that Spark reads. OLD and NEW are policy files, folders or
bundles; they and `policyc` are at the same path on every machine. Prints one JSON object; --out gets a line for each request that
is decided otherwise.
"""
import argparse
import json
import shlex
import shutil
import subprocess
import time

from pyspark.sql import SparkSession

# In what two answers may differ: as `policyc diff` compares.
ASPECTS = ("decision", "reason", "matchedRules", "modifications", "metadata", "errors")


def compared(pair):
    """What became of one request: how it was and would be decided, and a line for --out where that is not the same."""
    # Numbers stay as they are written: some are no doubles.
    old, new = (json.loads(answer, parse_float=str) for answer in pair)
    if "error" in old and "error" in new:
        return "undecided", json.dumps({"requestId": old.get("requestId"), "error": new["error"]})
    old, new = ({"decision": "refused", **answer["error"]} if "error" in answer else
                {"requestId": answer["requestId"], **{name: answer["decision"].get(name) for name in ASPECTS}} for answer in (old, new))
    request = old.pop("requestId", None) or new.get("requestId")
    new.pop("requestId", None)
    if old == new:
        return "same", None
    return f"{old['decision']} -> {new['decision']}", json.dumps({"requestId": request, "old": old, "new": new})


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("export", nargs="+")
    arguments.add_argument("--old", required=True)
    arguments.add_argument("--new", required=True)
    arguments.add_argument("--policyc", default="policyc")
    arguments.add_argument("--partitions", type=int, default=0, help="at least so many parts; as Spark splits the files where absent")
    arguments.add_argument("--out", help="a folder that Spark creates")
    given = arguments.parse_args()

    # Spark gives the program no environment, and so no PATH.
    program = shutil.which(given.policyc) or given.policyc
    commands = [shlex.join([program, "eval", side, "--contexts", "-", "--quiet"]) for side in (given.old, given.new)]
    for command in commands:  # Policies that cannot be used end it here, with the reason.
        subprocess.run(shlex.split(command), input=b"", check=True)

    spark = SparkSession.builder.appName("policyc replay").getOrCreate()
    began = time.monotonic()
    lines = spark.sparkContext.textFile(",".join(given.export), given.partitions or None).filter(str.strip)
    old, new = (lines.pipe(command) for command in commands)
    # A line for each line, in order. `zip` fails where a side has fewer than the export, as after a crash.
    answers = lines.zip(old.zip(new)).map(lambda pair: compared(pair[1])).cache()
    counts = dict(answers.map(lambda answer: (answer[0], 1)).reduceByKey(lambda a, b: a + b).collect())
    if given.out:
        answers.filter(lambda answer: answer[1]).values().saveAsTextFile(given.out)
    spark.stop()
    total, same, undecided = sum(counts.values()), counts.pop("same", 0), counts.pop("undecided", 0)
    print(json.dumps({"contexts": total, "different": total - same - undecided, "undecided": undecided,
                      "changes": dict(sorted(counts.items())), "seconds": round(time.monotonic() - began, 1)}))


if __name__ == "__main__":
    main()
