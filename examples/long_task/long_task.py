#!/usr/bin/env python3
"""A task of three simulated days that may be killed at any moment and goes on where it was.

It reads a queue of 72 hourly reports, one an hour, and keeps a running total. After each hour it
writes a checkpoint: state to go on from, the result, what it learnt, what comes next. Started again,
on this machine or another, it resumes from the last checkpoint and never counts an hour twice.

    dougong serve &
    python3 examples/long_task/long_task.py [--url http://127.0.0.1:8080] [--task NAME]

Needs nothing but Python's own library.
"""
import argparse
import datetime
import json
import sys
import urllib.error
import urllib.parse
import urllib.request

HOURS = 72
FIRST_DAY = datetime.datetime(2026, 3, 2, tzinfo=datetime.timezone.utc)


class Tasks:
    """The few calls of /v1/tasks that a worker needs."""

    def __init__(self, url, task):
        self.base = f"{url.rstrip('/')}/v1/tasks/{urllib.parse.quote(task, safe='')}"

    def _call(self, method, path="", body=None):
        request = urllib.request.Request(self.base + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def resume(self):
        """The last checkpoint with its state and a summary; None for a new task."""
        try:
            return self._call("GET")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def checkpoint(self, after, **fields):
        return self._call("POST", "/checkpoints", {"after": after, **fields})


def report_of(hour):
    """What the outside world says of an hour: any worker sees the same."""
    return (hour * 7919 + 104729) % 1000


def work_one_hour(state):
    hour = state["hour"]
    reading = report_of(hour)
    state = {"hour": hour + 1, "total": state["total"] + reading,
             "highest": max(state["highest"], reading)}
    at = FIRST_DAY + datetime.timedelta(hours=hour + 1)
    return {
        "state": state,
        "result": f"day {hour // 24 + 1}, hour {hour % 24}: report of {reading}, total {state['total']}",
        "reflection": f"{reading} is the highest report so far" if reading == state["highest"] else "",
        "next_steps": [f"read the report of hour {hour + 1}"] if hour + 1 < HOURS else [],
        "progress": (hour + 1) / HOURS,
        "finished": hour + 1 == HOURS,
        "created_unix_ms": int(at.timestamp() * 1000),
        "name": f"end of day {hour // 24 + 1}" if hour % 24 == 23 else "",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--task", default="three days of reports")
    arguments = parser.parse_args()

    tasks = Tasks(arguments.url, arguments.task)
    last = tasks.resume()
    state, number = {"hour": 0, "total": 0, "highest": 0}, 0
    if last is not None:
        state, number = last["state"], last["number"]
        print(f"resuming after checkpoint {number}\n{last['summary']['text']}", flush=True)
    while state["hour"] < HOURS:
        done = work_one_hour(state)
        # `after` makes the step count once: had another worker gone on, this would be refused.
        number = tasks.checkpoint(number, **done)["number"]
        state = done["state"]
        print(done["result"], flush=True)
    print(f"done: {state['hour']} hours, total {state['total']}, highest {state['highest']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
