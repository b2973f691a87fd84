"""`python -m knative.status OVERLAY`: how the product stands on a cluster, in one screen.

PODS are the ready ones, +those that start, -those that end. Queues and jobs are what the janitor counted in its last
round and logged: it has the rights for that anyway, and so nobody needs a port to the broker or the database, nor
their passwords. Exit codes: 0 shown, 1 not, 2 wrong usage.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from knative import pods
from knative.cluster import Cluster, ClusterError, Object
from knative.objects import PART_OF, SERVING, SOURCES, key, namespace
from knative.readiness import State, condition, judge
from knative.render import OverlayError, RenderError, folder, render

MESSAGE = "how it stands"  # functions/janitor/survey.py logs it
SCALERS = "autoscaling.internal.knative.dev/v1alpha1"
SERVICE = "serving.knative.dev/service"
OTHERS = ((SOURCES, "RabbitmqSource"), ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job"))
LINES = 50
TROUBLES, WIDTH = 8, 160  # so that all fits one screen


def main(words: list[str]) -> int:
    """Prints it; the exit code."""
    if len(words) != 1:
        print("usage: python -m knative.status OVERLAY", file=sys.stderr)
        return 2
    try:
        where = namespace(render(folder(words[0])))
        print("\n".join(screen(Cluster(), where, datetime.now(UTC))))
    except OverlayError as error:
        print(error, file=sys.stderr)
        return 2
    except (RenderError, ClusterError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def screen(cluster: Cluster, where: str, now: datetime) -> list[str]:
    """The lines. Raises ClusterError."""
    all_pods = cluster.list("v1", "Pod", where)
    services = cluster.list(SERVING, "Service", where, PART_OF)
    if not services:
        return [f"Nothing of the product is in the namespace {where}; make deploy puts it there."]
    desired = {
        scaler["metadata"]["name"]: (scaler.get("status") or {}).get("desiredScale", 0)
        for scaler in cluster.list(SCALERS, "PodAutoscaler", where)
    }
    rows = [_function(service, all_pods, desired) for service in services]
    lines = _table(("FUNCTION", "READY", "REVISION", "TRAFFIC", "PODS", "WANTED", "URL"), rows)
    others = [
        _other(thing, all_pods)
        for api, kind in OTHERS
        for thing in cluster.list(api, kind, where, PART_OF)
        if not thing["metadata"].get("ownerReferences")  # of a revision, or a round of the janitor
    ]
    lines += ["", *_table(("OTHERS", "READY", "PODS", "WHY NOT"), others), ""]
    return lines + counted(_last_survey(cluster, where, all_pods), now) + _troubles(all_pods)


def counted(survey: Mapping[str, Any] | None, now: datetime) -> list[str]:
    """Queues and jobs as the janitor counted them, and how long ago that was."""
    if survey is None:
        return ["Queues and jobs are not known: no round of the janitor has ended yet, or its log is gone."]
    jobs, queues = survey["jobs"], survey["queues"]
    ago = (now - datetime.fromisoformat(survey["time"])).total_seconds()
    named = ", ".join(f"{name} {count}" for name, count in queues.items()) or "RabbitMQ did not answer"
    told = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in jobs.items() if name != "oldest_seconds")
    oldest = f"{jobs['oldest_seconds'] // 60} min" if jobs["oldest_seconds"] else "none is unfinished"
    return [
        f"Queues   {named}",
        f"Jobs     {told}",
        f"Oldest   {oldest}",
        f"         as the janitor saw it {ago:.0f} s ago; what a source has in hand is in no queue",
    ]


def _last_survey(cluster: Cluster, where: str, all_pods: Iterable[Object]) -> dict[str, Any] | None:
    rounds = [pod for pod in all_pods if pod["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "janitor"]
    for pod in sorted(rounds, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True):
        for line in reversed(cluster.log(pod["metadata"]["name"], where, "janitor", LINES).splitlines()):
            try:
                fields = json.loads(line)
            except ValueError:
                continue
            if isinstance(fields, dict) and fields.get("message") == MESSAGE:
                return fields
    return None


def _function(service: Object, all_pods: Iterable[Object], desired: Mapping[str, int]) -> tuple[str, ...]:
    name, status = service["metadata"]["name"], service.get("status") or {}
    targets = [target for target in status.get("traffic", []) if target.get("percent")]
    wanted = sum(desired.get(target.get("revisionName", ""), 0) for target in targets)
    verdict = judge(service)
    mine = [pod for pod in all_pods if pod["metadata"].get("labels", {}).get(SERVICE) == name]
    return (
        name,
        "yes" if verdict.state is State.READY else "no",
        status.get("latestCreatedRevisionName", ""),
        _traffic(targets, status.get("latestCreatedRevisionName", "")),
        _running(mine),
        str(wanted),
        status.get("url", ""),
    )


def _traffic(targets: list[Object], newest: str) -> str:
    if [target.get("revisionName") for target in targets] == [newest]:
        return "all"
    return ", ".join(f"{target.get('revisionName', '?')} {target['percent']} %" for target in targets)


def _other(thing: Object, all_pods: Iterable[Object]) -> tuple[str, ...]:
    verdict = judge(thing)
    ready = verdict.state is State.READY
    return str(key(thing)), "yes" if ready else "no", _running(pods.of(thing, all_pods)), verdict.why


def _running(mine: Iterable[Object]) -> str:
    ready = leaving = starting = 0
    for pod in mine:
        if pod["metadata"].get("deletionTimestamp"):
            leaving += 1
        elif condition(pod.get("status") or {}, "Ready").get("status") == "True":
            ready += 1
        elif (pod.get("status") or {}).get("phase") in ("Pending", "Running"):
            starting += 1
    return f"{ready}" + (f" +{starting}" if starting else "") + (f" -{leaving}" if leaving else "")


def _troubles(all_pods: Iterable[Object]) -> list[str]:
    there = [pod for pod in all_pods if (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded")]
    found = [f"{pod['metadata']['name']}: {words}" for pod in there if (words := pods.trouble(pod))]
    return ["", "Troubles", *(f"  {line[:WIDTH]}" for line in found[:TROUBLES])] if found else []


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in table]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
