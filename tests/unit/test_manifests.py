"""What runs on Kubernetes, read from the manifests: limits, rights, scaling, and that nothing secret is in the tree."""

import ast
import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from functions.common.limits import LIMITS
from tests import manifests
from tests.manifests import FUNCTIONS, KNATIVE, OVERLAYS, ROOT, SERVING, SOURCES, Object

PRODUCT = "video-to-mp3-"
SINKS = {"video": "convert", "mp3": "notify"}
PROGRAMS = {
    **{name: (f"functions/{name}/main.py", "functions/common/serve.py") for name in FUNCTIONS},
    "janitor": ("functions/janitor/main.py",),
    "migrate": ("functions/migrate/main.py",),
}
# Who is given which keys of which Secret, by environment or as a file: all of them, and nobody else.
RIGHTS = {
    "auth": {"mysql/auth-url", "token-keys", "token-signing-key"},
    "upload": {"mongodb/upload-url", "rabbitmq/upload-url", "token-keys"},
    "convert": {"mongodb/convert-url", "rabbitmq/convert-url"},
    "notify": {"mongodb/notify-url", "smtp/url"},
    "download": {"mongodb/download-url", "token-keys"},
    "janitor": {"mongodb/janitor-url", "rabbitmq/janitor-url"},
    "gateway": set(),
    "inbox": set(),
}
YAML = [*KNATIVE.rglob("*.yaml"), *(ROOT / "rabbitmq-source").glob("*.yaml")]


@pytest.fixture(scope="module", params=OVERLAYS)
def things(request: pytest.FixtureRequest) -> list[Object]:
    return manifests.overlay(request.param)


def test_the_limits_are_those_that_the_functions_count_on(things: list[Object]) -> None:
    specs = manifests.functions(things)

    assert {name: spec["timeoutSeconds"] for name, spec in specs.items()} == {
        name: limits.seconds for name, limits in LIMITS.items()
    }
    # Unset it would be 300 s; download alone begins at once.
    starts = {name: spec["responseStartTimeoutSeconds"] for name, spec in specs.items()}
    assert starts == {name: 60 if name == "download" else limits.seconds for name, limits in LIMITS.items()}


def test_concurrency_is_what_the_architecture_says_and_every_call_has_a_thread(things: list[Object]) -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (\w+) \| \d+ s[^|]*\| (\d+)[^|]*\| (\d+) \|$", text, re.M)
    specs = manifests.functions(things)

    assert {name: specs[name]["containerConcurrency"] for name, _, _ in table} == {n: int(c) for n, c, _ in table}
    assert {name for name, _, _ in table} == set(specs) == set(FUNCTIONS)
    assert all(specs[name]["containerConcurrency"] <= LIMITS[name].threads for name in FUNCTIONS)


def test_no_time_of_shutting_down_is_set_that_would_contradict_knatives(things: list[Object]) -> None:
    for name, template in manifests.pods(things):
        assert (
            not {"SHUTDOWN_SECONDS", "KILL_POINT", "KILL_FLAG", "PORT", "HOST"} & manifests.settings(template).keys()
        ), name


def test_no_program_is_left_out(things: list[Object]) -> None:
    assert {name for name, _ in manifests.pods(things)} >= {*RIGHTS} - {"inbox"}


def test_every_program_runs_as_an_account_of_its_own_without_a_token(things: list[Object]) -> None:
    accounts = {
        thing["metadata"]["name"]: thing.get("automountServiceAccountToken")
        for thing in things
        if thing["kind"] == "ServiceAccount"
    }
    for name, template in manifests.pods(things):
        if name in {*FUNCTIONS, "gateway", "janitor", "migrate"}:
            assert template["spec"]["serviceAccountName"] == name
            assert accounts[name] is False
    assert not [thing["kind"] for thing in things if "Role" in thing["kind"]]


def test_nobody_has_a_secret_that_is_not_needed(things: list[Object]) -> None:
    for name, template in manifests.pods(things):
        if name in RIGHTS:
            assert manifests.secrets(template) == RIGHTS[name], name
    assert [
        name for name, template in manifests.pods(things) if "token-signing-key" in manifests.secrets(template)
    ] == ["auth"]
    users = {
        name
        for name, template in manifests.pods(things)
        if any(s.startswith("mysql") for s in manifests.secrets(template))
    }
    assert users - {"mysql"} == {"auth", "migrate"}


def test_the_migration_has_the_functions_accounts_only_where_it_makes_them() -> None:
    own = {"mysql/migrate-url", "mongodb/migrate-url"}
    functions = {key for name in (*FUNCTIONS, "janitor") for key in RIGHTS[name] if key.startswith("m")}
    for name, wanted in {"local": own | functions, "external": own, "production": own}.items():
        (found,) = [
            manifests.secrets(template) for pod, template in manifests.pods(manifests.overlay(name)) if pod == "migrate"
        ]
        assert found == wanted, name


def test_what_queues_wake_cannot_be_reached_from_outside(things: list[Object]) -> None:
    for name in FUNCTIONS:
        labels = manifests.one(things, SERVING, "Service", name)["metadata"]["labels"]
        local = labels.get("networking.knative.dev/visibility") == "cluster-local"
        assert local == (name in SINKS.values()), name


def test_a_source_has_as_many_calls_under_way_as_its_function_takes(things: list[Object]) -> None:
    for queue, sink in SINKS.items():
        spec = manifests.one(things, SOURCES, "RabbitmqSource", queue)["spec"]
        places = manifests.scale(things, sink, "max-scale") * manifests.functions(things)[sink]["containerConcurrency"]

        assert spec["sink"]["ref"]["name"] == sink
        assert spec["rabbitmqResourcesConfig"]["parallelism"] == places, sink


def test_a_conversion_is_a_full_pod_and_the_activator_holds_the_others(things: list[Object]) -> None:
    assert manifests.scale(things, "convert", "target-utilization-percentage") == 100
    assert manifests.scale(things, "convert", "target-burst-capacity") == -1


@pytest.mark.parametrize("name", ["local", "external"])
def test_all_sleep_at_zero_and_never_wake_without_bound(name: str) -> None:
    things = manifests.overlay(name)

    assert {manifests.scale(things, function, "min-scale") for function in FUNCTIONS} == {0}
    assert all(manifests.scale(things, function, "max-scale") > 0 for function in FUNCTIONS)


def test_in_production_what_queues_wake_sleeps_still() -> None:
    things = manifests.overlay("production")

    assert [name for name in FUNCTIONS if manifests.scale(things, name, "min-scale") == 0] == ["convert", "notify"]


def test_every_figure_of_the_autoscaler_has_its_reason() -> None:
    for file in YAML:
        lines = file.read_text(encoding="utf-8").splitlines()
        for before, line in pairwise(lines):
            if "autoscaling.knative.dev/" in line and "min-scale" not in line:
                assert "# " in line or before.strip().startswith("#"), f"{file.name}: {line.strip()}"


def test_the_sources_take_from_the_queues_that_there_are_and_retry_as_the_local_source_does() -> None:
    told = json.loads((ROOT / "rabbitmq-source/definitions.json").read_text(encoding="utf-8"))
    local = (ROOT / "rabbitmq-source/consumer.py").read_text(encoding="utf-8")
    for queue in SINKS:
        (source,) = manifests.documents(ROOT / f"rabbitmq-source/{queue}.yaml")
        resources, delivery = source["spec"]["rabbitmqResourcesConfig"], source["spec"]["delivery"]

        assert source["metadata"]["name"] == resources["queueName"] == resources["exchangeName"] == queue
        assert resources["predeclared"] is True
        assert queue in {known["name"] for known in told["queues"]} & {known["name"] for known in told["exchanges"]}
        assert delivery == {"retry": 3, "backoffPolicy": "linear", "backoffDelay": "PT1S"}
        assert '"RETRIES", "3"' in local
        assert '"BACKOFF_SECONDS", "1"' in local


def test_the_namespace_is_one_and_said_where_kustomize_does_not_put_it() -> None:
    named = {yaml.safe_load(file.read_text())["namespace"] for file in YAML if file.name == "kustomization.yaml"}
    (namespace,) = named

    for queue in SINKS:
        (source,) = manifests.documents(ROOT / f"rabbitmq-source/{queue}.yaml")
        assert source["spec"]["sink"]["ref"]["namespace"] == namespace
        assert source["spec"]["rabbitmqClusterReference"]["namespace"] == namespace


def test_a_round_of_the_janitor_is_over_before_the_next(things: list[Object]) -> None:
    spec = manifests.one(things, "batch/v1", "CronJob", "janitor")["spec"]
    job = spec["jobTemplate"]["spec"]

    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("* * * * *", "Forbid")
    assert job["activeDeadlineSeconds"] + job["template"]["spec"]["terminationGracePeriodSeconds"] < 60


def _declared(path: Path) -> tuple[set[str], set[str]]:
    """All settings of a program, and those without a default."""
    (settings,) = [
        node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    ]
    fields = [node for node in settings.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    required = [
        f for f in fields if f.value is None or (isinstance(f.value, ast.Call) and "default" not in ast.dump(f.value))
    ]
    return {ast.unparse(f.target).upper() for f in fields}, {ast.unparse(f.target).upper() for f in required}


def test_every_program_gets_what_it_needs_and_nothing_that_it_does_not_know(things: list[Object]) -> None:
    for name, template in manifests.pods(things):
        if name in PROGRAMS:
            declared = [_declared(ROOT / path) for path in PROGRAMS[name]]
            given = {
                setting.removesuffix("_FILE") if setting.endswith("URL_FILE") else setting
                for setting in manifests.settings(template)
            }
            assert given <= set().union(*(known for known, _ in declared)), name
            assert set().union(*(needed for _, needed in declared)) - {"PORT"} <= given, name


def test_every_setting_is_documented(things: list[Object]) -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.M))
    used = {
        name
        for program, pod in manifests.pods(things)
        if program in {*PROGRAMS, "gateway"}
        for name in manifests.settings(pod)
    }

    assert used <= known
    assert _plain().keys() <= known


def _plain() -> dict[str, str]:
    lines = (KNATIVE / "base/settings.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_plain_settings_are_all_used_and_all_there(things: list[Object]) -> None:
    used = {
        variable["valueFrom"]["configMapKeyRef"]["key"]
        for _, template in manifests.pods(things)
        for container in template["spec"]["containers"]
        for variable in container.get("env", [])
        if variable.get("valueFrom", {}).get("configMapKeyRef", {}).get("name") == "settings"
    }

    assert used == _plain().keys()


def test_gateway_and_upload_read_one_limit_for_bodies(things: list[Object]) -> None:
    gateway, upload = (manifests.settings(pod) for name, pod in manifests.pods(things) if name in ("gateway", "upload"))

    assert gateway["MAX_UPLOAD_BYTES"] == upload["MAX_UPLOAD_BYTES"]
    assert "valueFrom" in gateway["MAX_UPLOAD_BYTES"]


def test_nothing_secret_is_in_the_tree() -> None:
    for file in [*YAML, KNATIVE / "base/settings.env"]:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"://[^/\s]+:[^/\s]+@", text), file
        assert "PRIVATE KEY" not in text, file
        if file.suffix == ".yaml":
            for thing in manifests.documents(file):
                assert thing.get("kind") != "Secret", file
                assert "secretGenerator" not in thing, file
    for name in OVERLAYS:
        for program, template in manifests.pods(manifests.overlay(name)):
            for container in template["spec"]["containers"]:
                secret = [
                    v for v in container.get("env", []) if "value" in v and re.search("URL|PASSWORD|KEY$", v["name"])
                ]
                assert secret == [], program


def test_the_overlays_name_every_image_by_the_products_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for name in ("local", "external"):  # production builds on external
        told = yaml.safe_load((KNATIVE / "overlays" / name / "kustomization.yaml").read_text(encoding="utf-8"))
        wanted = {
            image
            for _, template in manifests.pods(manifests.overlay(name))
            for container in template["spec"]["containers"]
            if (image := container["image"]).startswith(PRODUCT)
        }
        assert wanted == {image["name"] for image in told["images"]}
        assert all(image["newName"] == f"dev.local/{image['name']}" for image in told["images"])
        assert {image["newTag"] for image in told["images"]} == {version}


def test_nothing_runs_an_image_whose_version_is_not_said(things: list[Object]) -> None:
    for name, template in manifests.pods(things):
        for container in template["spec"]["containers"]:
            image = container["image"]
            assert image.startswith(PRODUCT) or (":" in image and not image.endswith(":latest")), name


def test_an_address_outside_is_the_same_for_the_service_and_for_its_policy() -> None:
    things = manifests.documents(KNATIVE / "overlays/external/endpoints.yaml")
    for slice_ in [thing for thing in things if thing["kind"] == "EndpointSlice"]:
        service = slice_["metadata"]["labels"]["kubernetes.io/service-name"]
        place = (slice_["endpoints"][0]["addresses"][0] + "/32", slice_["ports"][0]["port"])
        policies = [
            t for t in things if t["kind"] == "NetworkPolicy" and t["metadata"]["name"].endswith(f"to-{service}")
        ]

        assert policies
        for policy in policies:
            (rule,) = policy["spec"]["egress"]
            assert (rule["to"][0]["ipBlock"]["cidr"], rule["ports"][0]["port"]) == place
        ports = manifests.one(things, "v1", "Service", service)["spec"]["ports"]
        assert [port["name"] for port in ports] == [port["name"] for port in slice_["ports"]]


def test_whoever_has_a_services_account_may_go_there() -> None:
    things = manifests.documents(KNATIVE / "overlays/external/endpoints.yaml")
    for service in ("mysql", "mongodb", "rabbitmq", "smtp"):
        selector = manifests.one(things, "networking.k8s.io/v1", "NetworkPolicy", f"to-{service}")["spec"][
            "podSelector"
        ]
        (named,) = selector.get("matchExpressions") or [
            {"values": [selector.get("matchLabels", {}).get("app.kubernetes.io/name")]}
        ]
        users = {
            name
            for name, template in manifests.pods(manifests.overlay("external"))
            if any(secret.startswith(f"{service}/") for secret in manifests.secrets(template))
        }
        assert set(named["values"]) == users


def test_nothing_comes_in_or_goes_out_but_what_is_needed(things: list[Object]) -> None:
    policies = {thing["metadata"]["name"]: thing["spec"] for thing in things if thing["kind"] == "NetworkPolicy"}
    places = {"mongodb": 27017, "rabbitmq": 5672, "mysql": 3306}
    assert policies["nothing-else"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert [rule["ports"][0]["port"] for rule in policies["names"]["egress"]] == [53]

    for name in FUNCTIONS:
        (way_in,) = policies[name]["ingress"]
        namespaces = [one["namespaceSelector"]["matchLabels"].popitem()[1] for one in way_in["from"]]
        services = {secret.partition("/")[0] for secret in RIGHTS[name]} & places.keys()
        inside = [rule for rule in policies[name]["egress"] if "to" in rule]
        anywhere = [port["port"] for rule in policies[name]["egress"] if "to" not in rule for port in rule["ports"]]

        assert namespaces == ["knative-serving", "kourier-system"]
        assert {
            rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"]: rule["ports"][0]["port"]
            for rule in inside
        } == {service: places[service] for service in services}
        assert anywhere == ([25, 465, 587] if name == "notify" else [])


def test_production_survives_a_node_and_ends_tls() -> None:
    things = manifests.overlay("production")
    budget = manifests.one(things, "policy/v1", "PodDisruptionBudget", "gateway")["spec"]
    ingress = manifests.one(things, "networking.k8s.io/v1", "Ingress", "gateway")["spec"]
    service = manifests.one(things, "v1", "Service", "gateway")["spec"]

    assert manifests.one(things, "apps/v1", "Deployment", "gateway")["spec"]["replicas"] > budget["minAvailable"]
    assert [rule["host"] for rule in ingress["rules"]] == ingress["tls"][0]["hosts"]
    assert service["type"] == "ClusterIP"
    assert "nodePort" not in service["ports"][0]
