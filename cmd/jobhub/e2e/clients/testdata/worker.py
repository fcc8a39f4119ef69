"""A worker in Python's standard library: worker.py http://127.0.0.1:8080 KIND

The input says what to do with a job: {"do":"work"}, {"do":"wait"} until it is
cancelled, or {"do":"stall"}: be silent until the lease is lost.
"""

import json
import re
import sys
import threading
import urllib.error
import urllib.request

hub, kind = sys.argv[1:]
ending = threading.Event()


def call(path, body=None, method="POST"):
    """Returns the status and the answer. A body that is a list becomes a line each."""
    lines = body if isinstance(body, list) else [body or {}]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    request = urllib.request.Request(hub + path, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            status, answer = response.status, json.loads(response.read() or "{}")
    except urllib.error.HTTPError as error:
        status, answer = error.code, json.loads(error.read())
    if answer.get("directive") == "terminate":
        ending.set()
    return status, answer


def seconds(text):
    units = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "µs": 1e-6}
    return sum(float(n) * units[unit] for n, unit in re.findall(r"([\d.]+)(h|ms|m|µs|s)", text))


class Attempt:
    """One attempt at a job, whose lease is renewed until it is over."""

    def __init__(self, worker, beat, job):
        self.worker, self.beat, self.job = worker, beat, job
        self.path = "/v1/leases/" + job["lease"]
        self.stop = threading.Event()  # told to stop
        self.over = threading.Event()
        self.state = "ok"

    def renew(self):
        while not self.over.wait(self.beat):
            status, answer = call(f"/v1/workers/{self.worker}/beat", {"leases": [self.job["lease"]]})
            if status == 200:
                self.state = answer["leases"][self.job["lease"]]
                if self.state != "ok":
                    self.stop.set()
                    return

    def run(self):
        do = self.job["input"]["do"]
        if do == "stall" and self.job["checkpoint"] is None:
            return self.stall()
        renewing = threading.Thread(target=self.renew)
        renewing.start()
        if do == "wait":
            call(self.path + "/events", [{"n": 1, "type": "progress", "message": "waiting"}])
            self.stop.wait()
        else:
            call(self.path + "/events", [
                {"n": 1, "type": "progress", "percent": 50, "message": "half way"},
                {"n": 2, "type": "output", "text": "hello from python\n"},
            ])
        if self.state == "cancel":
            call(self.path + "/fail", {"error": {"title": "Stopped"}, "retry": "never"})
        elif self.state == "ok":
            call(self.path + "/complete", {"result": {"by": "python"}})
        self.over.set()
        renewing.join()

    def stall(self):
        call(self.path + "/events", [{"n": 1, "type": "checkpoint", "data": {"stalled": True}}])
        while True:
            _, answer = call(f"/v1/workers/{self.worker}/lease", {"max": 1, "wait": "20s"})
            if answer["leases"].get(self.job["lease"]) == "lost":
                break
        status, answer = call(self.path + "/complete")
        print("late:", answer.get("code"), status, flush=True)


def register():
    _, answer = call("/v1/workers", {"name": "python", "kinds": [kind], "slots": 1})
    return answer["worker_id"], seconds(answer["beat"])


worker, beat = register()
while not ending.is_set():
    status, answer = call(f"/v1/workers/{worker}/lease", {"max": 1, "wait": "20s"})
    if status == 404:  # the hub was started again; leases stay good
        worker, beat = register()
    for job in answer.get("jobs", []):
        Attempt(worker, beat, job).run()
call(f"/v1/workers/{worker}", method="DELETE")
