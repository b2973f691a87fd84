"""The databases and the broker of the overlay `local`: their parts must agree; nothing here can pull their images."""

import re
from pathlib import Path

import pytest
from pymongo import uri_parser

from functions.migrate import accounts
from knative.credentials import FIXED, wanted
from tests import manifests
from tests.manifests import Object

APPS, BATCH, NETWORKING = "apps/v1", "batch/v1", "networking.k8s.io/v1"


@pytest.fixture(scope="module")
def things() -> list[Object]:
    return manifests.overlay("local")


def container(things: list[Object], name: str) -> Object:
    (found,) = [template["spec"]["containers"] for pod, template in manifests.pods(things) if pod == name]
    (only,) = found
    return dict(only)


def test_the_migration_finds_the_address_of_every_account_that_it_makes(things: list[Object]) -> None:
    spec = manifests.one(things, BATCH, "Job", "migrate")["spec"]["template"]["spec"]
    (volume,) = spec["volumes"]
    sources = [source["secret"] for source in volume["projected"]["sources"]]
    files = {item["path"]: f"{secret['name']}/{item['key']}" for secret in sources for item in secret["items"]}

    assert files == {
        **{f"mysql/{name}": f"mysql/{name}-url" for name in accounts.MYSQL},
        **{f"mongodb/{name}": f"mongodb/{name}-url" for name in accounts.MONGO},
    }
    (mount,) = spec["containers"][0]["volumeMounts"]
    assert manifests.settings({"spec": spec})["ACCOUNTS_DIR"]["value"] == mount["mountPath"]
    for name in ("external", "production"):  # where the accounts are somebody else's
        job = manifests.one(manifests.overlay(name), BATCH, "Job", "migrate")
        assert "ACCOUNTS_DIR" not in manifests.settings(job["spec"]["template"])


def test_the_addresses_lead_to_what_runs(things: list[Object], tmp_path: Path) -> None:
    inside = {thing["metadata"]["name"] for thing in things if thing["kind"] in ("StatefulSet", "Deployment")}
    made = wanted(inside, {}, {}, tmp_path)
    member = uri_parser.parse_uri(made["mongodb"]["upload-url"])
    started = " ".join(container(things, "mongodb")["args"])
    initiated = " ".join(container(things, "mongodb-initiate")["args"])

    assert f"--replSet {member['options']['replicaSet']} " in started
    assert f'host: "{member["nodelist"][0][0]}:27017"' in initiated
    assert f'_id: "{member["options"]["replicaSet"]}"' in initiated
    service = manifests.one(things, "v1", "Service", "mongodb")["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    database = {"name": "MYSQL_DATABASE", "value": made["mysql"]["auth-url"].rpartition("/")[2]}
    assert database in container(things, "mysql")["env"]
    for name, port in (("mysql", 3306), ("rabbitmq", 5672), ("mongodb", 27017), ("smtp", 25)):
        assert manifests.one(things, "v1", "Service", name)["spec"]["ports"][0]["port"] == port


def test_what_a_server_takes_but_once_is_what_rotating_leaves(things: list[Object]) -> None:
    for name, kept in FIXED.items():
        spec = manifests.one(things, APPS, "StatefulSet", name)["spec"]["template"]["spec"]
        keys = {v["valueFrom"]["secretKeyRef"]["key"] for v in spec["containers"][0]["env"] if "valueFrom" in v}
        keys |= {item["key"] for volume in spec["volumes"] for item in volume.get("secret", {}).get("items", [])}
        assert keys == kept


def test_the_broker_loads_topology_and_accounts_and_no_folder_as_it_is_mounted(things: list[Object]) -> None:
    settings = manifests.one(things, "v1", "ConfigMap", "rabbitmq-platform")["data"]["platform.conf"]
    (folder,) = re.findall(r"^load_definitions = (.*)$", settings, re.M)
    mounts = {
        mount["mountPath"]: (mount["name"], mount["subPath"])
        for mount in container(things, "rabbitmq")["volumeMounts"]
        if mount["mountPath"].startswith(folder)
    }

    assert mounts == {
        f"{folder}/10-topology.json": ("topology", "definitions.json"),
        f"{folder}/20-accounts.json": ("accounts", "accounts.json"),
    }


@pytest.mark.parametrize("service", ["mysql", "mongodb", "rabbitmq"])
def test_only_whoever_has_an_account_is_let_in(things: list[Object], service: str) -> None:
    (rule,) = manifests.one(things, NETWORKING, "NetworkPolicy", service)["spec"]["ingress"]
    admitted = {
        name
        for peer in rule["from"]
        for expression in peer["podSelector"].get("matchExpressions", [])
        for name in expression["values"]
    }
    users = {name for name, template in manifests.pods(things) if f"{service}/" in str(_keys(template))}

    assert admitted | {service} == users | {service}


def _keys(template: Object) -> list[str]:
    (only,) = template["spec"]["containers"]
    references = [v["valueFrom"].get("secretKeyRef") for v in only.get("env", []) if "valueFrom" in v]
    return [f"{reference['name']}/{reference['key']}" for reference in references if reference]
