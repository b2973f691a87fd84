"""`python -m knative.deploy OVERLAY` brings a cluster to what an overlay says, waits until all works, or says why not.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not ready within --timeout. A second run changes nothing. It needs
kubectl to render; `kubectl apply -k` applies the same, without the order, the images' tags, the wait and the words.
"""

import argparse
import copy
import os
import sys
import time

from knative import images, removal, rollback
from knative.applying import Outcome, apply
from knative.cluster import Cluster, ClusterError, Object
from knative.failures import explain
from knative.objects import SERVING, key, namespace, pod_spec, secrets, stages
from knative.render import OverlayError, RenderError, complete, folder, render
from knative.waiting import NotReadyError, wait

DONE, FAILED, USAGE, TIMED_OUT = 0, 1, 2, 3
TIMEOUT_SECONDS = 600


def main(words: list[str] | None = None) -> int:
    """Runs the command; its exit code."""
    arguments = _parsed(words)
    try:
        things = render(folder(arguments.overlay))
        return _run(Cluster(), things, arguments)
    except OverlayError as error:
        print(error, file=sys.stderr)
        return USAGE
    except (RenderError, ClusterError, rollback.RollbackError, ValueError) as error:
        print(error, file=sys.stderr)
        return FAILED


def _parsed(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m knative.deploy", description=__doc__.splitlines()[0])
    parser.add_argument("overlay", help="local, external, production, or the path of a folder with a kustomization")
    parser.add_argument("--dry-run", action="store_true", help="the server checks everything and changes nothing")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, metavar="SECONDS", help="for all the waiting")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--delete", action="store_true", help="remove what the overlay made; volumes and secrets stay")
    what.add_argument("--rollback", metavar="FUNCTION", help="point its traffic at the revision before")
    parser.add_argument("--all", action="store_true", help="with --delete: volumes, secrets and the namespace too")
    arguments = parser.parse_args(words)
    if arguments.all and not arguments.delete:
        parser.error("--all goes with --delete")
    return arguments


def _run(cluster: Cluster, things: list[Object], arguments: argparse.Namespace) -> int:
    where = namespace(things)
    if arguments.delete:
        removal.delete(cluster, things, where, arguments.all, arguments.dry_run, say)
        return DONE
    if arguments.rollback:
        return _roll_back(cluster, where, arguments)
    complete(things, images.references(), moved=bool(os.environ.get("REGISTRY")))
    if arguments.dry_run:
        return check(cluster, things, where)
    return deploy(cluster, things, arguments.overlay, arguments.timeout)


def deploy(cluster: Cluster, things: list[Object], overlay: str, seconds: float) -> int:
    """Applies stage by stage, each when the one before is ready. Raises ClusterError where the cluster refuses."""
    deadline = time.monotonic() + seconds
    if missing := missing_secrets(cluster, things):
        say(*missing, f"Nothing was changed. `make secrets OVERLAY={overlay}` makes what is missing.")
        return FAILED
    for stage in stages(things):
        for thing in stage:
            outcome = _applied(cluster, thing)
            if outcome is not Outcome.UNCHANGED:
                say(f"{key(thing)}: {outcome.value}")
        try:
            wait(cluster, stage, deadline, say)
        except NotReadyError as error:
            return _say_why(cluster, error, overlay, seconds)
    say("All is ready.")
    return DONE


def check(cluster: Cluster, things: list[Object], where: str) -> int:
    """The server's own dry run of every object; says what would become of each and what is refused."""
    if cluster.get("v1", "Namespace", where) is None:
        say(f"The namespace {where} is not there yet, so the server checks the objects as if they were for `default`.")
        things = [_as_if_in_default(thing) for thing in things]
    refused = 0
    for thing in things:
        try:
            say(f"{key(thing)}: would be {apply(cluster, thing, dry_run=True).value}")
        except ClusterError as error:
            refused += 1
            say(f"{key(thing)}: refused: {error}")
    return FAILED if refused else DONE


def _as_if_in_default(thing: Object) -> Object:
    moved = copy.deepcopy(thing)
    if moved["metadata"].get("namespace"):
        moved["metadata"]["namespace"] = "default"
    # Knative's webhook tries a function's pod, and its account would not be there.
    pod_spec(moved).pop("serviceAccountName", None)
    return moved


def missing_secrets(cluster: Cluster, things: list[Object]) -> list[str]:
    """A line for each secret, or part of one, that the objects need and that neither they nor the cluster have."""
    given = {thing["metadata"]["name"] for thing in things if thing["kind"] == "Secret"}
    wanted = {(name, item) for thing in things for name, item in secrets(thing) if name not in given}
    where, lines = namespace(things), []
    for name in sorted({name for name, _ in wanted}):
        secret = cluster.get("v1", "Secret", name, where)
        absent = sorted(item for n, item in wanted if n == name and item and item not in (secret or {}).get("data", {}))
        if secret is None:
            lines.append(f"the secret {name} is missing")
        elif absent:
            lines.append(f"the secret {name} has no {', '.join(absent)}")
    return lines


def _applied(cluster: Cluster, thing: Object) -> Outcome:
    try:
        return apply(cluster, thing)
    except ClusterError as error:
        raise ClusterError(f"{key(thing)}: {error}", error.status) from error


def _say_why(cluster: Cluster, error: NotReadyError, overlay: str, seconds: float) -> int:
    for thing, verdict in error.unready:
        say(*explain(cluster, thing, verdict, overlay))
    if error.timed_out:
        say(f"Not ready within {seconds:.0f} s; --timeout allows more. What was applied stays, run it again to go on.")
        return TIMED_OUT
    return FAILED


def _roll_back(cluster: Cluster, where: str, arguments: argparse.Namespace) -> int:
    name = arguments.rollback
    revision = rollback.target(cluster, name, where)
    if arguments.dry_run:
        say(f"{name} would go back to {revision}")
        return DONE
    rollback.roll_back(cluster, name, where, revision)
    until = time.monotonic() + arguments.timeout
    while not rollback.arrived(cluster.get(SERVING, "Service", name, where), revision):
        if time.monotonic() > until:
            say(f"{name} was pointed at {revision}, and is not there yet.")
            return TIMED_OUT
        time.sleep(0.5)
    say(
        f"All requests to {name} now go to {revision}.",
        f"The next `make deploy OVERLAY={arguments.overlay}` goes forward again, and so does",
        f"kn service update {name} -n {where} --traffic @latest=100",
    )
    return DONE


def say(*lines: str) -> None:
    """Prints, at once also into a pipe."""
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
