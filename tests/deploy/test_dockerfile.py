import re
import tomllib
from pathlib import Path

import pytest

from .container_files import DEPLOY, DIGEST, ROOT, Instruction, all_of, enters_build, read_stages

BUILD, FINAL = read_stages()
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|PEPPER|CREDENTIAL|_KEY\b|_URL\b")


def last(word: str) -> Instruction:
    return all_of(FINAL, word)[-1]


def test_every_base_is_pinned_by_digest():
    bases = [stage[0].rest.split(" ")[0] for stage in (BUILD, FINAL)]
    assert all(DIGEST.search(base) for base in bases), bases


def test_both_stages_have_one_base_so_that_the_environment_runs_where_it_was_made():
    assert len({stage[0].rest.split(" ")[0] for stage in (BUILD, FINAL)}) == 1


def test_the_image_runs_as_a_numeric_user_that_is_not_root():
    user, group = last("USER").rest.split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_nothing_is_made_after_the_user_is_set():
    after = FINAL[FINAL.index(last("USER")) :]
    assert not [one for one in after if one.word in {"RUN", "COPY", "ADD"}]


def test_the_command_is_in_exec_form_so_that_signals_reach_it():
    assert last("CMD").words() == ["hilum", "serve"]
    assert not all_of(FINAL, "ENTRYPOINT")
    assert last("STOPSIGNAL").rest == "SIGTERM"


def test_the_health_check_asks_for_readiness():
    options, _, command = last("HEALTHCHECK").rest.partition(" CMD ")
    script = Instruction("CMD", command).words()[-1]
    assert "--timeout=" in options
    assert script in {one.rest.split(" ")[-1] for one in all_of(FINAL, "COPY")}
    assert "/health/ready" in (DEPLOY / Path(script).name).read_text()


def test_nothing_is_fetched_by_address():
    assert not [one for stage in (BUILD, FINAL) for one in all_of(stage, "ADD")]
    assert not [one for stage in (BUILD, FINAL) for one in all_of(stage, "RUN") if "curl" in one.rest]


def test_no_secret_stands_in_the_environment_or_the_arguments():
    pairs = re.findall(
        r"(\w+)=(\S+)",
        " ".join(one.rest for stage in (BUILD, FINAL) for one in stage if one.word in {"ENV", "ARG"}),
    )
    named = {name: value for name, value in pairs if SECRET_NAME.search(name)}
    assert named == {"HILUM_TLS_KEY": "/run/secrets/tls-key"}, "a path to a secret, never the secret"


def test_the_final_stage_gets_the_environment_and_the_health_check_alone():
    assert [one.rest for one in all_of(FINAL, "COPY")] == [
        "--from=build /opt/hilum /opt/hilum",
        "deploy/healthcheck.py /opt/hilum/healthcheck.py",
    ]


def test_what_is_installed_has_no_torch_and_keeps_to_the_constraints():
    extras = dict(one.rest.split("=") for one in all_of(BUILD, "ARG"))["EXTRAS"].split(",")
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = " ".join(requirement for extra in extras for requirement in known[extra])
    assert "torch" not in wanted
    locked, ours = [one.rest for one in all_of(BUILD, "RUN") if "pip install" in one.rest]
    assert "--require-hashes --only-binary :all: --requirement deploy/requirements.lock" in locked
    assert "--constraint requirements.txt" in ours


def test_every_file_that_is_copied_enters_the_build():
    for stage in (BUILD, FINAL):
        for one in all_of(stage, "COPY"):
            if one.rest.startswith("--from"):
                continue
            for name in one.rest.split(" ")[:-1]:
                files = [name] if (ROOT / name).is_file() else [f"{name}/hilum/cli/main.py"]
                assert all(map(enters_build, files)), name


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        "data/journal.sqlite",
        "data/secrets/pepper",
        "deploy/secrets/tls-key",
        "deploy/compose.yaml",
        "films/train/Normal/a.png",
        "films/study.dcm",
        "models/registry/x/weights.safetensors",
        "out/report.json",
        "server.key",
        "src/server.pem",
        "src/hilum/serving/__pycache__/app.cpython-311.pyc",
        "src/hilum/secrets/pepper",
        "src/data/film.dcm",
        "tests/conftest.py",
        ".env",
    ],
)
def test_films_keys_and_history_stay_out_of_the_build(path: str):
    assert not enters_build(path)


def test_the_shipped_model_enters_the_build():
    bundles = [path for path in (ROOT / "src/hilum/released").rglob("*") if path.is_file()]
    left_out = [path.name for path in bundles if not enters_build(path.relative_to(ROOT).as_posix())]
    assert bundles
    assert all(name.endswith(".pyc") for name in left_out), left_out
