"""What deploy/ holds fits together and fits the code; `test_pool` runs what of it can be run here."""

import ast
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.mark.parametrize(
    "entrypoint",
    [one["entrypoint"] for one in yaml.safe_load((DEPLOY / "prefect.yaml").read_text())["deployments"]],
)
def test_a_deployed_flow_exists(entrypoint):
    module, _, name = entrypoint.rpartition(".")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    found = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    assert any("flow(" in ast.unparse(decorator) for decorator in found.decorator_list)


@pytest.mark.parametrize("unit", sorted(DEPLOY.glob("*.service")), ids=lambda unit: unit.name)
def test_a_unit_finds_what_runs_begin_by_calling(unit):
    """The first step of every run is a shell line; systemd's own PATH does not lead to stylereel."""
    (step,) = yaml.safe_load((DEPLOY / "prefect.yaml").read_text())["pull"]
    assert step["prefect.deployments.steps.run_shell_script"]["script"].split()[0] == "stylereel"
    text = unit.read_text()
    (path,) = re.findall(r"^Environment=PATH=(.+)$", text, re.MULTILINE)
    (installed,) = re.findall(r"^ExecStart=(\S+)/prefect ", text, re.MULTILINE)
    assert path.split(":") == [installed, "/usr/local/bin", "/usr/bin", "/bin"]


def test_the_kubernetes_template_uses_the_variables_it_declares():
    template = json.loads((DEPLOY / "kubernetes.json").read_text())
    jsonschema.Draft202012Validator.check_schema(template["variables"])
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(template["job_configuration"])))
    assert used == set(template["variables"]["properties"])
    job = template["job_configuration"]["job_manifest"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "{{ gpus }}"
    assert job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 30


def test_compose_names_only_what_it_has():
    services = COMPOSE["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        named = [volume.partition(":")[0] for volume in service.get("volumes", [])]
        assert set(named) <= set(COMPOSE["volumes"]), name
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()


def test_no_password_is_written_down():
    for file in DEPLOY.iterdir():
        for value in re.findall(r"(?i)(?:password|secret)[\w]*\s*[:=]\s*(\S+)", file.read_text()):
            assert value.startswith(("$", "{", "postgres", "...")), f"{file.name}: {value}"


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_images_hold_what_they_copy_and_run_as_a_user(kind):
    text = (DEPLOY / f"{kind}.Dockerfile").read_text()
    for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split()), line
    assert text.index("USER stylereel") < text.index("CMD ") and "ADD " not in text
