"""Runs policyd and a receiver that verifies its webhooks with PyPI `standardwebhooks`; see webhooks.sh."""

import base64
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from standardwebhooks import Webhook, WebhookVerificationError

program, directory = sys.argv[1:]
secrets = ["whsec_" + base64.b64encode(os.urandom(32)).decode() for _ in range(2)]
stranger = "whsec_" + base64.b64encode(os.urandom(32)).decode()
away = threading.Event()
away.set()
lock = threading.Lock()
events, requests, refused, problems = [], {}, 0, []


def is_refused(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


def look(body, headers):
    """Verifies a request, and says which events it holds."""
    headers = {name.lower(): value for name, value in headers.items()}
    for secret in secrets:
        found = Webhook(secret).verify(body, headers)
    signatures = headers["webhook-signature"].split(" ")
    assert len(signatures) == 2, signatures
    # Each signature is that of its own secret, and of no other.
    for secret, other, signature in zip(secrets, reversed(secrets), signatures):
        alone = headers | {"webhook-signature": signature}
        Webhook(secret).verify(body, alone)
        assert is_refused(other, body, alone)
    assert is_refused(stranger, body, headers)
    assert is_refused(secrets[0], body + b" ", headers)
    assert is_refused(secrets[0], body, headers | {"webhook-id": "another"})
    assert headers["content-type"].startswith("application/cloudevents-batch+json"), headers["content-type"]
    before = requests.setdefault(headers["webhook-id"], body)
    assert before == body, "a request that comes again is another one"
    return found


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global refused
        body = self.rfile.read(int(self.headers["content-length"]))
        with lock:
            try:
                found = look(body, self.headers)
            except Exception as error:
                problems.append(repr(error))
                found = []
            if away.is_set():
                refused += 1
                self.send_response(503)
            else:
                events.extend(found)
                self.send_response(204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    return [str(one.getsockname()[1]) for one in held]


def until(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"not in time: {what}")
        time.sleep(0.05)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()

os.mkdir(f"{directory}/policies")
policy = {
    "metadata": {"id": "limit", "name": "Limit"},
    "rules": [
        {
            "id": "weight",
            "condition": {"operator": "gt", "field": "metadata.weight", "value": 10},
            "action": {"decision": "deny", "reason": "too heavy"},
        }
    ],
}
with open(f"{directory}/policies/limit.json", "w") as file:
    json.dump(policy, file)


def start():
    http_port, grpc_port, admin_port = free_ports(3)
    settings = {
        "PORT": http_port,
        "GRPC_PORT": grpc_port,
        "METRICS_PORT": admin_port,
        "DATABASE_URL": "sqlite::memory:",
        "DATA_DIR": f"{directory}/data",
        "POLICIES": f"{directory}/policies",
        "DECISION_LOG": f"webhook:http://127.0.0.1:{server.server_port}/hook",
        "WEBHOOK_SECRET": ",".join(secrets),
        "WEBHOOK_BACKOFF": "100ms",
        "WEBHOOK_BATCH": "25",
        "LOG_LEVEL": "error",
    }
    process = subprocess.Popen([program], env=settings)
    base, admin = f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{admin_port}"

    def ready():
        if process.poll() is not None:
            sys.exit(f"policyd ended with {process.returncode}")
        try:
            return json.load(urllib.request.urlopen(f"{admin}/readyz"))["status"] != "unready"
        except (urllib.error.URLError, ConnectionError):
            return False

    until("policyd is ready", ready)
    return process, base, admin


def decide(base, first, count):
    for number in range(first, first + count):
        body = json.dumps({"requestId": f"r-{number}", "context": {"metadata": {"weight": 11}}}).encode()
        request = urllib.request.Request(f"{base}/api/v1/evaluate", body, {"content-type": "application/json"})
        assert json.load(urllib.request.urlopen(request))["decision"]["decision"] == "deny"


def metric(admin, name):
    for line in urllib.request.urlopen(f"{admin}/metrics").read().decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split(" ")[1])
    return 0.0


process, base, admin = start()
try:
    decide(base, 0, 150)
    until("decisions are on disk", lambda: metric(admin, "llm_policy_decision_log_queue") == 0)
    until("attempts are refused", lambda: refused >= 5)
    process.kill()
    process.wait()
    process, base, admin = start()
    decide(base, 150, 150)
    with lock:
        before = refused
    until("attempts are refused again", lambda: refused >= before + 5)
    away.clear()
    until("all arrive", lambda: len({event["id"] for event in events}) >= 300)
    until("nothing waits", lambda: metric(admin, "llm_policy_webhook_spool_bytes") == 0)
    process.terminate()
    if process.wait(30) != 0:
        sys.exit("policyd did not stop well")
finally:
    process.kill()

if problems:
    sys.exit(f"{len(problems)} requests are not as they should be, the first: {problems[0]}")
once = {}
for event in events:
    assert event["specversion"] == "1.0" and event["type"] == "dev.llm-policy-engine.decision.v1", event
    once.setdefault(event["id"], event["data"]["requestId"])
expected = [f"r-{number}" for number in range(300)]
if list(once.values()) != expected:
    sys.exit(f"{len(once)} events, or another order: {list(once.values())}")
print(
    f"300 decisions in {len(requests)} requests, each in order under one id, {len(events) - len(once)} again, "
    f"{refused} refused attempts; every signature verified with standardwebhooks"
)
