"""Building the images: from where this machine fetches packages, by a Dockerfile in good style."""

import re
import subprocess
import sys
from pathlib import Path

from testbed.project_image import pip_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"


class TestPipSettings:
    def test_a_build_asks_the_index_that_the_machine_asks(self):
        """Wherever it is set: a file, for one command, or the environment."""
        listed = (
            "global.index-url='https://one.example/simple'\n"
            ":env:.trusted-host='one.example'\n"
            "install.extra-index-url='https://two.example/simple'\n"
        )

        settings = pip_settings(listed)

        assert "index-url = https://one.example/simple\n" in settings
        assert "trusted-host = one.example\n" in settings
        assert "extra-index-url = https://two.example/simple\n" in settings

    def test_folders_of_the_machine_stay_outside(self):
        """A build sees neither its wheels nor its own certificates' place."""
        settings = pip_settings(":env:.find-links='/opt/wheels'\nglobal.cert='/home/me/ca.pem'")

        assert settings == "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n"


class TestDockerfile:
    def test_is_clean_for_hadolint(self):
        """No rule is switched off."""
        hadolint = Path(sys.executable).parent / "hadolint"

        done = subprocess.run(
            [hadolint, "--disable-ignore-pragma", DOCKERFILE],
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)

    def test_packages_come_as_wheels_with_their_hashes(self):
        """Nothing is compiled, and an index cannot put another file in a package's place."""
        text = DOCKERFILE.read_text()

        installs = re.findall(r"pip.* install .*", text)

        assert "PIP_ONLY_BINARY=:all:" in text
        assert len(installs) >= 3
        assert all("--require-hashes" in line or "/wheels/*.whl" in line for line in installs)

    def test_no_step_is_made_for_one_kind_of_processor(self):
        """`--platform` alone decides; that is how one Dockerfile makes an image for several."""
        assert not re.search(r"amd64|x86_64|arm64|aarch64", DOCKERFILE.read_text())
