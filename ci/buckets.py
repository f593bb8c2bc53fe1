"""Segments of policyd in buckets; see buckets.sh. One world of decisions after the other, each with a bucket of its own."""

import atexit
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import azure.storage.blob
import boto3
import botocore.config
import pyarrow.fs
import pyarrow.parquet

program, directory, azurite = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
SECRET = "S3CRETS3CRETS3CRETS3CRETS3CRETS3CRET"
KEY = "AKIABUCKETS"
children = []


def fail(message):
    print(f"ci/buckets.sh: FAILED: {message}")
    sys.exit(1)


def stop_all():
    for child in children:
        if child.poll() is None:
            child.send_signal(signal.SIGCONT)
            child.kill()
            child.wait()


atexit.register(stop_all)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def start(command, log, **options):
    child = subprocess.Popen(command, stdout=open(log, "a"), stderr=subprocess.STDOUT, **options)
    children.append(child)
    return child


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, done, seconds=90):
    end = time.monotonic() + seconds
    while True:
        found = done()
        if found:
            return found
        if time.monotonic() > end:
            fail(f"waited in vain until {what}")
        time.sleep(0.1)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Proxy:
    """Stands between policyd and a bucket: lets everything pass, nothing, or stops once so many bytes went up."""

    def __init__(self, target):
        self.target, self.mode, self.limit, self.sent = target, "pass", 0, 0
        self.stalled = threading.Event()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            if self.mode == "refuse":
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            self.open |= {client, server}
            for source, sink, up in [(client, server, True), (server, client, False)]:
                threading.Thread(target=self.pump, args=(source, sink, up), daemon=True).start()

    def pump(self, source, sink, up):
        try:
            while data := source.recv(65536):
                # Parts may go over connections of their own. Questions for a list are short, and are no upload.
                if up and len(data) > 1500:
                    self.sent += len(data)
                while up and self.mode == "stall" and self.sent > self.limit:
                    self.stalled.set()
                    time.sleep(0.05)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()

    def set(self, mode, limit=0):
        self.mode, self.limit, self.sent = mode, limit, 0
        self.stalled.clear()
        if mode != "pass":
            for end in list(self.open):
                end.close()
        self.open.clear()


class Policyd:
    """A policyd with a DATA_DIR, and what it said."""

    def __init__(self, name, bucket, **settings):
        self.data = directory / name
        self.log = directory / f"{name}.log"
        self.environment = {
            "DATA_DIR": str(self.data),
            "DECISION_LOG": "segments",
            "DECISION_LOG_SEGMENTS": bucket,
            "DECISION_LOG_SEAL_AFTER": "200ms",
            "DECISION_LOG_SEAL_BYTES": "1MB",
            "HOST": "127.0.0.1",
            "PORT": "0",
            "GRPC_PORT": "0",
            "METRICS_PORT": "0",
            "POLICIES": str(pathlib.Path(__file__).parent / "policies"),
            "LOG_FORMAT": "json",
        } | settings
        self.start()

    def start(self):
        before = len(self.said())
        self.process = start([program], self.log, env=self.environment)
        until("policyd listens", lambda: '"admin":"' in self.said()[before:] or self.process.poll() is not None)
        said = self.said()[before:]
        port = lambda what: re.search(rf'"{what}":"[^"]*:(\d+)"', said)
        if not port("rest"):
            fail(f"policyd does not listen: {said}")
        self.rest, self.admin = int(port("rest").group(1)), int(port("admin").group(1))

    def said(self):
        return self.log.read_text() if self.log.exists() else ""

    def ask(self, path, body=None, port=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port or self.rest}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def decide(self, numbers, padding=0):
        """Makes decisions of these numbers, and waits until they are acknowledged: in the journal."""
        numbers = list(numbers)
        chance = random.Random(numbers[0])
        before = self.metric("written_total", '{sink="segments"}')
        batch = 20 if padding else 50
        for at in range(0, len(numbers), batch):
            contexts = [
                {
                    "metadata": {"weight": n % 13, "n": n, "noise": chance.randbytes(padding).hex()},
                    "user": {"id": f"user-{n % 7}"},
                    "llm": {"model": "m", "prompt": "né"},
                }
                for n in numbers[at : at + batch]
            ]
            status, said = self.ask("/api/v1/evaluate/batch", {"contexts": contexts})
            if status != 200:
                fail(f"evaluate: {status} {said}")
        until("they are written", lambda: self.metric("written_total", '{sink="segments"}') >= before + len(numbers))

    def metric(self, name, labels=""):
        for line in self.ask("/metrics", port=self.admin)[1].splitlines():
            if line.startswith(f"llm_policy_decision_log_{name}{labels} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def ready(self):
        return json.loads(self.ask("/readyz", port=self.admin)[1])

    def is_sealed(self):
        return [p.name for p in (self.data / "decisions-journal").iterdir()] == ["lock"]

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(timeout=60)

    def export(self):
        return subprocess.run(
            [program, "decisions", "export"], env=self.environment, capture_output=True, text=True, timeout=120
        )

    def numbers(self):
        exported = self.export()
        if exported.returncode != 0:
            fail(f"export: {exported.stderr}")
        return sorted(json.loads(line)["context"]["metadata"]["n"] for line in exported.stdout.splitlines())

    def expect(self, numbers, what):
        found = self.numbers()
        if found != sorted(numbers):
            fail(f"{what}: {len(found)} decisions, {len(set(found))} of them different, of {len(list(numbers))}")

    def files(self, archive):
        return {str(p.relative_to(archive)): p.read_bytes() for p in pathlib.Path(archive).glob("*/*.parquet")}


def moto(log, **environment):
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    child = start(command, directory / log, env={**os.environ, **environment})
    until("moto listens", lambda: listens(port))
    return child, port


def keys_of(port, allow="true", **more):
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": allow,
    } | more


def queries(server):
    """Every filter that there is, alone and together, in pages of two sizes, and what is counted for each."""
    lists = json.loads(server.ask("/api/v1/decisions?limit=500")[1])["items"]
    times = sorted(item["timestamp"] for item in lists)
    filters = [
        {},
        {"namespace": "default"},
        {"namespace": "nobody"},
        {"decision": "deny"},
        {"decision": "modify"},
        {"subject": lists[0]["subject"]},
        {"rule": "limits/heavy"},
        {"rule": "limits/none"},
        {"policy": "limits"},
        {"from": times[len(times) // 2]},
        {"to": times[len(times) // 2]},
        {"from": times[10], "to": times[-10], "decision": "warn", "policy": "limits"},
    ]
    answers = []
    for filter in filters:
        for limit in (97, 500):
            found, cursor = [], None
            while True:
                query = filter | {"limit": limit} | ({"cursor": cursor} if cursor else {})
                status, said = server.ask("/api/v1/decisions?" + urllib.parse.urlencode(query))
                if status != 200:
                    fail(f"{query}: {status} {said}")
                page = json.loads(said)
                found += page["items"]
                cursor = page.get("next")
                if not cursor:
                    break
            answers.append((filter, limit, found))
        answers.append((filter, server.ask("/api/v1/decisions/stats?" + urllib.parse.urlencode(filter))))
    for item in (lists[0], lists[-1]):
        answers.append(server.ask(f"/api/v1/decisions/{item['requestId']}"))
    answers.append(server.ask("/api/v1/decisions/no-such-request")[0])
    return answers


s3, port = moto("moto.log")
proxy = Proxy(port)
client = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{port}",
    aws_access_key_id=KEY,
    aws_secret_access_key=SECRET,
    region_name="us-east-1",
    config=botocore.config.Config(retries={"max_attempts": 1}),
)


def objects(bucket, prefix=""):
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    return {key.removeprefix(prefix): client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def same_as_a_folder():
    client.create_bucket(Bucket="same")
    # Nothing is sealed before the stop, so that both seal the same.
    first = Policyd("first", "", DECISION_LOG_SEAL_AFTER="1h")
    first.decide(range(400))
    first.end()
    for copy in ("folder", "bucket"):
        shutil.copytree(first.data, directory / copy)
    folder = Policyd("folder", "")
    bucket = Policyd("bucket", "s3://same/a/log/", **keys_of(proxy.port))
    until("both have sealed", lambda: folder.is_sealed() and bucket.is_sealed())
    expected, found = folder.files(directory / "folder" / "decisions"), objects("same", "a/log/")
    if expected != found or len(found) < 1:
        fail(f"{sorted(expected)} in the folder, {sorted(found)} in the bucket")
    for one, other in zip(queries(folder), queries(bucket)):
        if one != other:
            fail(f"the folder answers {one}, the bucket {other}")
    if folder.export().stdout != bucket.export().stdout:
        fail("the export of the bucket is another than that of the folder")
    # In place, by others.
    system = pyarrow.fs.S3FileSystem(
        access_key=KEY, secret_key=SECRET, region="us-east-1", scheme="http", endpoint_override=f"127.0.0.1:{port}"
    )
    table = pyarrow.parquet.read_table("same/a/log", filesystem=system)
    if table.num_rows != 400 or "day" not in table.column_names:
        fail(f"pyarrow reads {table.num_rows} rows of {table.column_names}")
    folder.end()
    # What is in the journal at a stop gets into the bucket before the end.
    bucket.end()
    bucket.environment["DECISION_LOG_SEAL_AFTER"] = "1h"
    bucket.start()
    bucket.decide(range(400, 500))
    bucket.end()
    if not bucket.is_sealed():
        fail("a stop leaves decisions on this machine while the bucket is there")
    bucket.expect(range(500), "after a stop")
    print("  as in a folder: objects, queries, export; pyarrow reads them; a stop seals")
    damaged(bucket)


def damaged(bucket):
    key, whole = max(objects("same").items(), key=lambda item: len(item[1]))
    damages = {
        "half": whole[: len(whole) // 2],
        "garbage": b"PAR1" + bytes(1000) + b"PAR1",
        "empty": b"",
        "a hole": whole[:200] + bytes(len(whole) // 2) + whole[200 + len(whole) // 2 :],
    }
    for what, body in damages.items():
        client.put_object(Bucket="same", Key=key, Body=body)
        exported = bucket.export()
        if exported.returncode == 0 or pathlib.Path(key).name not in exported.stderr:
            fail(f"an object that is {what}: {exported.returncode} {exported.stderr}")
    client.put_object(Bucket="same", Key=key, Body=whole)
    bucket.expect(range(500), "the object is whole again")
    print("  what is damaged is an error that names the object")


def killed_while_it_uploads():
    client.create_bucket(Bucket="killed")
    done = 0
    server = Policyd("killed", "s3://killed", DECISION_LOG_SEAL_BYTES="40MB", DECISION_LOG_SEAL_AFTER="10s", **keys_of(proxy.port))
    # A small object, which is put at once; ones in parts, stopped in the first part and in the second.
    for count, padding, limit in [(50, 0, 3000), (100, 90_000, 1_000_000), (150, 90_000, 9_500_000)]:
        until("all is sealed", server.is_sealed)
        proxy.set("stall", limit)
        server.decide(range(done, done + count), padding)
        done += count
        if not proxy.stalled.wait(60):
            fail(f"nothing was uploaded of {count} decisions with {padding} bytes")
        server.end(signal.SIGKILL)
        proxy.set("pass")
        server.start()
        until("all is sealed", server.is_sealed)
        server.expect(range(done), f"killed after {limit} bytes")
    # Stopped between the upload and the removal of the file: the same segment is there and staged.
    server.end()
    key, body = sorted(objects("killed").items())[-1]
    staged = server.data / "decisions-journal" / "sealed-0198c0de-0000-7000-8000-000000000000"
    (staged / key).parent.mkdir(parents=True)
    (staged / key).write_bytes(body)
    server.expect(range(done), "staged and in the bucket")
    server.start()
    until("it is uploaded again", lambda: not staged.exists())
    server.expect(range(done), "uploaded again")
    if objects("killed")[key] != body:
        fail("uploaded again, it is another object")
    server.end()
    print("  killed while it uploads: each decision once")


def away():
    client.create_bucket(Bucket="away")
    server = Policyd("away", "s3://away/log", **keys_of(proxy.port, AWS_TIMEOUT="2s"))
    server.decide(range(100))
    until("it is sealed", server.is_sealed)
    done = 100
    for how, leave, come in [
        ("frozen", lambda: s3.send_signal(signal.SIGSTOP), lambda: s3.send_signal(signal.SIGCONT)),
        ("gone", lambda: proxy.set("refuse"), lambda: proxy.set("pass")),
    ]:
        if server.ready()["status"] != "ready":
            fail(f"not ready: {server.ready()}")
        leave()
        server.decide(range(done, done + 150))
        done += 150
        said = until(f"the bucket is {how}", lambda: server.ready()["status"] == "degraded" and server.ready())
        if not any("segments" in reason for reason in said["reasons"]):
            fail(f"{how}: {said}")
        # A whole answer or none.
        status, _ = server.ask("/api/v1/decisions?limit=500")
        if status != 503:
            fail(f"{how}: a query is answered with {status}")
        server.decide(range(done, done + 50))
        done += 50
        come()
        until("it is ready", lambda: server.ready()["status"] == "ready")
        until("all is sealed", server.is_sealed)
        server.expect(range(done), how)
    # A start without the bucket.
    server.end()
    proxy.set("refuse")
    server.start()
    server.decide(range(done, done + 10))
    done += 10
    until("it is degraded", lambda: server.ready()["status"] == "degraded")
    server.end()
    if server.is_sealed():
        fail("decisions are gone that no bucket took")
    proxy.set("pass")
    server.start()
    until("all is sealed", server.is_sealed)
    server.expect(range(done), "after a start without the bucket")
    # Two servers, and the day is over.
    other = Policyd("other", "s3://away/log", **keys_of(proxy.port), DECISION_LOG_RETENTION="1s")
    other.decide(range(done, done + 20))
    until("old segments are removed", lambda: not objects("away"))
    until("queries know it", lambda: json.loads(server.ask("/api/v1/decisions")[1])["items"] == [])
    server.end()
    other.end()
    print("  frozen, gone and back: nothing lost, readiness says it; retention in a bucket of two servers")


def refused():
    _, strict = moto("strict.log", INITIAL_NO_AUTH_ACTION_COUNT="1")
    admin = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{strict}", aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
    )
    admin.create_bucket(Bucket="strict")
    token = "T0KENT0KENT0KEN"
    for settings, expected in [
        (keys_of(strict, AWS_SESSION_TOKEN=token), "403"),
        (keys_of(port), "404"),
    ]:
        name = f"refused-{expected}"
        server = Policyd(name, "s3://strict/log", **settings)
        said = until("it is degraded", lambda: server.ready()["status"] == "degraded" and server.ready())
        reasons = " ".join(said["reasons"])
        if expected not in reasons:
            fail(f"refused with {expected}: {reasons}")
        server.decide(range(10))
        query, exported = server.ask("/api/v1/decisions"), server.export()
        if query[0] != 503 or exported.returncode == 0:
            fail(f"answers of a bucket that refuses: {query} {exported}")
        server.end()
        everything = json.dumps([said, query, exported.stdout, exported.stderr, server.said()])
        if SECRET in everything or token in everything:
            fail(f"a secret is said: {everything}")
    for settings, expected in [
        (keys_of(port, allow="false"), "AWS_ALLOW_HTTP"),
        (keys_of(port, AWS_PROXY_URL="http://127.0.0.1:1"), "PROXY_URL"),
        (keys_of(port, DECISION_LOG_SEGMENTS=f"s3://k:{SECRET}@strict/log"), "DECISION_LOG_SEGMENTS"),
    ]:
        environment = server.environment | settings
        for flag in ([], ["check-config"]):
            run = subprocess.run([program, *flag], env=environment, capture_output=True, text=True, timeout=60)
            said = run.stdout + run.stderr
            if run.returncode == 0 or expected not in said or SECRET in said:
                fail(f"{expected} {flag}: {run.returncode} {said}")
    print("  refused: degraded with the reason, or no start; no secret is said")


def other_cloud(name, bucket, environment):
    """The same journey in short."""
    server = Policyd(name, bucket, **environment)
    server.decide(range(60))
    until("it is sealed", server.is_sealed)
    server.decide(range(60, 160), 90_000)
    until("it is sealed", server.is_sealed)
    server.expect(range(160), name)
    found = json.loads(server.ask("/api/v1/decisions?decision=deny&limit=500")[1])["items"]
    if len(found) != len([n for n in range(160) if n % 13 > 10]):
        fail(f"{name}: {len(found)} decisions that deny")
    server.end()
    server.environment |= {"DECISION_LOG_RETENTION": "1s"}
    server.start()
    until("old segments are removed", lambda: server.numbers() == [])
    server.end()


def google():
    client.create_bucket(Bucket="google")
    environment = {
        "GOOGLE_BASE_URL": f"http://127.0.0.1:{port}",
        "GOOGLE_BEARER_TOKEN": SECRET,
        "GOOGLE_ALLOW_HTTP": "true",
    }
    other_cloud("google", "gs://google/log", environment)
    print("  the client of Google Cloud Storage against moto")


def azure_blobs():
    if not azurite:
        return
    blobs = free_port()
    command = [azurite, "--silent", "--inMemoryPersistence", "--blobPort", str(blobs), "--skipApiVersionCheck"]
    start(command, directory / "azurite.log")
    until("azurite listens", lambda: listens(blobs))
    # The account that every emulator has.
    known = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    account = f"http://127.0.0.1:{blobs}/devstoreaccount1"
    azure.storage.blob.BlobServiceClient(account, credential=known).create_container("container")
    environment = {
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{blobs}",
    }
    other_cloud("azure", "az://container/log", environment)
    print("  Azure: azurite")


# BUCKETS_STEPS names some of them.
steps = [same_as_a_folder, killed_while_it_uploads, away, refused, google, azure_blobs]
wanted = os.environ.get("BUCKETS_STEPS", "").split()
done = [step.__name__ for step in steps if not wanted or step.__name__ in wanted]
if unknown := set(wanted) - set(done):
    fail(f"there are no steps {unknown}")
for step in steps:
    if step.__name__ in done:
        step()
print(f"ci/buckets.sh: ok: {', '.join(done)}")
