"""Runs policyd and a receiver that verifies its webhooks with PyPI `standardwebhooks`; see webhooks.sh.

`webhooks.py PROGRAM DIRECTORY` is away for moments, with policyd killed meanwhile; `webhooks.py PROGRAM DIRECTORY SECONDS` is away for
that long, with the settings that policyd has by default, while several callers ask and policies change.
"""

import base64
import collections
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

program, directory = sys.argv[1:3]
secrets = ["whsec_" + base64.b64encode(os.urandom(32)).decode() for _ in range(2)]
stranger = "whsec_" + base64.b64encode(os.urandom(32)).decode()
DECISION, AUDIT = ("dev.llm-policy-engine." + kind + ".v1" for kind in ("decision", "audit"))


def is_refused(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


class Receiver:
    """Listens on a port that stays the same. What it does with requests is its mode:

    `here` takes them; `busy` answers 503; `lost` takes them, and its answer is lost; `gone` refuses connections.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.events, self.requests, self.problems = [], {}, []
        # Requests and events by mode.
        self.came = collections.Counter()
        self.sent = collections.Counter()
        self.server, self.port = None, 0
        self.mode = "gone"

    def become(self, mode):
        with self.lock:
            self.mode = mode
        if mode == "gone" and self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        elif mode != "gone" and not self.server:
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler())
            self.port = self.server.server_port
            threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def handler(receiver):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver.lock:
                    mode = receiver.mode
                    try:
                        found = receiver.look(body, self.headers)
                    except Exception as error:
                        receiver.problems.append(repr(error))
                        found = []
                    receiver.came[mode] += 1
                    receiver.sent[mode] += len(found)
                    if mode in ("here", "lost"):
                        receiver.events.extend(found)
                if mode == "lost":
                    self.close_connection = True
                    return
                self.send_response(204 if mode == "here" else 503)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        return Handler

    def look(self, body, headers):
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
        before = self.requests.setdefault(headers["webhook-id"], body)
        assert before == body, "a request that comes again is another one"
        return found

    def once(self, kind):
        """Data of the events of a kind, each where it came first."""
        seen = {}
        with self.lock:
            for event in self.events:
                assert event["specversion"] == "1.0" and event["type"] in (DECISION, AUDIT), event
                if event["type"] == kind:
                    seen.setdefault(event["id"], event["data"])
        return list(seen.values())

    def count(self):
        with self.lock:
            return len({event["id"] for event in self.events})

    def check(self):
        if self.problems:
            sys.exit(f"{len(self.problems)} requests are not as they should be, the first: {self.problems[0]}")


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


class Policyd:
    def __init__(self, receiver, more):
        ports = free_ports(3)
        self.settings = {
            "PORT": ports[0],
            "GRPC_PORT": ports[1],
            "METRICS_PORT": ports[2],
            "DATABASE_URL": f"sqlite:{directory}/policies.db",
            "DATA_DIR": f"{directory}/data",
            "DECISION_LOG": f"webhook:http://127.0.0.1:{receiver.port}/hook",
            "WEBHOOK_SECRET": ",".join(secrets),
            "LOG_LEVEL": "error",
        } | more
        self.base, self.admin = f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[2]}"
        self.process = subprocess.Popen([program], env=self.settings)
        until("policyd is ready", self.ready)

    def ready(self):
        if self.process.poll() is not None:
            sys.exit(f"policyd ended with {self.process.returncode}")
        try:
            urllib.request.urlopen(f"{self.admin}/readyz").read()
        except urllib.error.HTTPError as error:
            # Without a policy it is not ready, and takes one.
            return b"no policy is active" in error.read()
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def ask(self, method, path, body, key=None):
        headers = {"content-type": "application/json"} | ({"x-api-key": key} if key else {})
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), headers, method=method)
        return json.load(urllib.request.urlopen(request))

    def decide(self, name, key=None):
        body = {"requestId": name, "context": {"metadata": {"weight": 101}}}
        answer = self.ask("POST", "/api/v1/evaluate", body, key)
        assert answer["decision"]["decision"] == "deny", answer

    def metric(self, name):
        for line in urllib.request.urlopen(f"{self.admin}/metrics").read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split(" ")[1])
        return 0.0

    def nothing_waits(self):
        return self.metric("llm_policy_decision_log_queue") == 0 and self.metric("llm_policy_webhook_spool_bytes") == 0

    def stop(self):
        self.process.terminate()
        if self.process.wait(30) != 0:
            sys.exit("policyd did not stop well")


def policy(most):
    return {
        "metadata": {"id": "limit", "name": "Limit"},
        "rules": [
            {
                "id": "weight",
                "condition": {"operator": "gt", "field": "metadata.weight", "value": most},
                "action": {"decision": "deny", "reason": "too heavy"},
            }
        ],
    }


def check_audit(receiver, count):
    trail = receiver.once(AUDIT)
    assert [record["seq"] for record in trail] == list(range(1, count + 1)), [record["seq"] for record in trail]
    for before, record in zip(trail, trail[1:]):
        assert record["previous"] == before["hash"], record


def moments():
    receiver = Receiver()
    receiver.become("busy")
    settings = {"WEBHOOK_BACKOFF": "100ms", "WEBHOOK_BATCH": "25"}
    policyd = Policyd(receiver, settings)
    try:
        policyd.ask("POST", "/api/v1/policies", policy(10))
        for number in range(150):
            policyd.decide(f"r-{number}")
        until("decisions are on disk", lambda: policyd.metric("llm_policy_decision_log_queue") == 0)
        until("attempts are refused", lambda: receiver.came["busy"] >= 5)
        policyd.process.kill()
        policyd.process.wait()
        policyd = Policyd(receiver, settings)
        for most in range(11, 16):
            policyd.ask("PUT", "/api/v1/policies/limit", policy(most))
        for number in range(150, 300):
            policyd.decide(f"r-{number}")
        before = receiver.came["busy"]
        until("attempts are refused again", lambda: receiver.came["busy"] >= before + 5)
        receiver.become("here")
        until("all arrive", lambda: receiver.count() >= 306)
        until("nothing waits", policyd.nothing_waits)
        policyd.stop()
    finally:
        policyd.process.kill()
    receiver.check()
    arrived = [data["requestId"] for data in receiver.once(DECISION)]
    if arrived != [f"r-{number}" for number in range(300)]:
        sys.exit(f"{len(arrived)} decisions, or another order: {arrived}")
    check_audit(receiver, 6)
    print(
        f"300 decisions and 6 audit records in {len(receiver.requests)} requests, each in order under one id, "
        f"{len(receiver.events) - 306} again, {receiver.came['busy']} refused attempts; every signature verified with "
        "standardwebhooks"
    )


def absence(seconds):
    callers, rate = 4, 5
    receiver = Receiver()
    receiver.become("here")
    policyd = Policyd(receiver, {"API_KEYS_ENABLED": "true"})
    stop, errors = threading.Event(), []
    try:
        made = subprocess.run(
            [program, "key", "--name", "admin", "--roles", "admin"], env=policyd.settings, capture_output=True, check=True
        )
        admin = made.stdout.decode().strip()
        keys = [
            policyd.ask("POST", "/api/v1/keys", {"name": f"caller-{caller}", "roles": ["evaluator"]}, admin)["key"]
            for caller in range(callers)
        ]
        policyd.ask("POST", "/api/v1/policies", policy(0), admin)
        asked, changed = [0] * callers, [0]

        def regularly(pause, what):
            following = time.monotonic()
            try:
                while not stop.is_set():
                    what()
                    following += pause
                    stop.wait(max(0, following - time.monotonic()))
            except Exception as error:
                errors.append(repr(error))

        def decides(caller):
            policyd.decide(f"{caller}-{asked[caller]}", keys[caller])
            asked[caller] += 1

        def changes():
            policyd.ask("PUT", "/api/v1/policies/limit", policy(1 + changed[0] % 100), admin)
            changed[0] += 1

        work = [threading.Thread(target=regularly, args=(1 / rate, lambda c=caller: decides(c))) for caller in range(callers)]
        work.append(threading.Thread(target=regularly, args=(5, changes)))
        for thread in work:
            thread.start()
        time.sleep(3)
        before = receiver.count()
        assert before > 0
        away = time.monotonic()
        for mode, share in (("gone", 0.4), ("busy", 0.3), ("lost", 0.3)):
            receiver.become(mode)
            time.sleep(seconds * share)
        away = time.monotonic() - away
        spooled = policyd.metric("llm_policy_webhook_spool_bytes")
        held = receiver.count()
        receiver.become("here")
        back = time.monotonic()
        until("the receiver is found again", lambda: receiver.came["here"] and receiver.sent["here"], 90)
        until("something new arrives", lambda: receiver.count() > held, 90)
        first = time.monotonic() - back
        until("what waited arrives", lambda: policyd.metric("llm_policy_webhook_spool_bytes") < 100_000, 300)
        caught_up = time.monotonic() - back
        time.sleep(3)
        stop.set()
        for thread in work:
            thread.join()
        records = 1 + callers + 1 + changed[0]
        until("all arrive", lambda: receiver.count() >= sum(asked) + records, 120)
        until("nothing waits", policyd.nothing_waits, 120)
        policyd.stop()
    finally:
        stop.set()
        policyd.process.kill()
    if errors:
        sys.exit(f"requests failed: {errors}")
    receiver.check()
    orders, subjects = collections.defaultdict(list), collections.defaultdict(set)
    for data in receiver.once(DECISION):
        caller, number = data["requestId"].split("-")
        orders[int(caller)].append(int(number))
        subjects[int(caller)].add(data["subject"])
    for caller in range(callers):
        if orders[caller] != list(range(asked[caller])):
            sys.exit(f"caller {caller}: {len(orders[caller])} of {asked[caller]} decisions, or another order")
    assert all(len(of_one) == 1 for of_one in subjects.values())
    assert len({next(iter(of_one)) for of_one in subjects.values()}) == callers, subjects
    check_audit(receiver, records)
    wire, events = sum(receiver.sent.values()), sum(asked) + records
    print(
        f"away for {away:.0f} s (connections refused, then 503, then answers lost), with the default settings of policyd: "
        f"{sum(asked)} decisions of {callers} keys and {records} audit records, each once after dropping by id, the decisions "
        f"of each key and the audit records in order; {wire} events on the wire, {wire - events} of them again "
        f"({len(receiver.events) - events} that the receiver had taken); {sum(receiver.came.values())} requests, all "
        f"verified with standardwebhooks; {spooled / 1e6:.1f} MB waited on disk; the first new event came {first:.0f} s after "
        f"the return, the last that waited after {caught_up:.0f} s"
    )


if len(sys.argv) > 3:
    absence(float(sys.argv[3]))
else:
    moments()
